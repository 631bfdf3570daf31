#!/bin/sh
echo "$# $1 $2 $PWD" | sed "s|$HOME|HOME|"
echo told > "$BASE/told"
