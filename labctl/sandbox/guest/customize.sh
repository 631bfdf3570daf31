#!/bin/sh
# Run by mmdebstrap on the finished root directory ($1), outside of it, as root or as root of a
# user namespace. Turns the directory into three files, written through inherited file
# descriptors because the namespace's root may not search the caller's home directory.
#   $LABCTL_DISK $LABCTL_KERNEL $LABCTL_INITRD  paths (/proc/self/fd/N) of the three results
#   $LABCTL_DEBS    packages to leave in apt's cache;  $LABCTL_SIZE  size of the disk for mkfs
# Of the release (see releases.py; prepare.py reads $LABCTL_SOURCES):
#   $LABCTL_KERNEL_PACKAGE  depends on the newest kernel's package
#   $LABCTL_KERNEL_FILES    lines of: package without the kernel's version, patterns of the wanted files
set -eu
root=$1
say() { echo "labctl: $*" >&2; }
apt() { APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-get -q -y "$@"; }

say "fetching the kernel and the labs' packages"
rm -f "$root"/var/cache/apt/archives/*.deb
mkdir "$root/tmp/kernel"
kernel=$(APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-cache depends "$LABCTL_KERNEL_PACKAGE" |
    sed -n 's/.*Depends: linux-image-\([0-9].*\)/\1/p' | head -n 1)
(
    cd "$root/tmp/kernel"
    set -- busybox-static
    while read -r package _; do set -- "$@" "$package-$kernel"; done <<END
$LABCTL_KERNEL_FILES
END
    APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-get -q download "$@"
)
# shellcheck disable=SC2086  # a list of package names
apt install --no-install-recommends --download-only $LABCTL_DEBS

say "installing the kernel's modules"
while read -r package patterns; do
    # the patterns are tar's, not the shell's
    set -f
    # shellcheck disable=SC2086
    set -- $patterns
    set +f
    dpkg-deb --fsys-tarfile "$root/tmp/kernel/$package-$kernel"_*.deb |
        tar -x -C "$root/tmp/kernel" --wildcards "$@"
done <<END
$LABCTL_KERNEL_FILES
END
dpkg-deb --fsys-tarfile "$root"/tmp/kernel/busybox-static*.deb | tar -x -C "$root/tmp/kernel" ./bin/busybox
cat "$root"/tmp/kernel/boot/vmlinuz* >"$LABCTL_KERNEL"
version=$(ls "$root/tmp/kernel/lib/modules")
modules=$root/tmp/kernel/lib/modules/$version/kernel
# Hardware that no VM here has: two thirds of the modules
for driver in "$modules"/drivers/*; do
    case ${driver##*/} in virtio | block | net | char | firmware | rtc) ;; *) rm -rf "$driver" ;; esac
done
find "$modules/drivers/net" -mindepth 1 -maxdepth 1 -type d -exec rm -rf {} +
rm -rf "$modules/fs/btrfs" "$modules/fs/xfs" "$modules/fs/ocfs2" "$modules/fs/gfs2" "$modules/fs/ceph" "$modules/zfs" "$modules/sound" "$modules/arch/x86/kvm"
mkdir -p "$root/usr/lib/modules"
mv "$root/tmp/kernel/lib/modules/$version" "$root/usr/lib/modules/"
depmod -b "$root" "$version" 2>/dev/null || chroot "$root" depmod "$version"

say "making the first boot stage"
stage=$root/tmp/initrd
mkdir -p "$stage/bin" "$stage/modules" "$stage/proc" "$stage/sys" "$stage/dev" "$stage/root"
cp "$root/tmp/kernel/bin/busybox" "$stage/bin/busybox"
install -m 755 "$root/usr/share/labctl/init" "$stage/init"
for module in virtio_pci virtio_blk virtio_net ext4 qemu_fw_cfg; do
    # some are built into Ubuntu's kernel
    grep -q "/$module[.]ko" "$root/usr/lib/modules/$version/modules.builtin" && continue
    chroot "$root" modprobe --set-version "$version" --show-depends "$module"
done >"$stage/depends"
sed -n 's/^insmod \([^ ]*\).*/\1/p' "$stage/depends" | awk '!seen[$0]++' | while read -r path; do
    cp "$root/$path" "$stage/modules/" && echo "${path##*/}"
done >"$stage/modules/order.new"
mv "$stage/modules/order.new" "$stage/modules/order"
rm "$stage/depends"
# Not compressed: unpacking costs an emulated CPU more than copying
(cd "$stage" && find . | sort | ./bin/busybox cpio -o -H newc 2>/dev/null) >"$LABCTL_INITRD"
rm -rf "$stage" "$root/tmp/kernel"

say "setting the machine up"
rm -f "$root"/etc/apt/sources.list.d/*build.sources
chroot "$root" python3 /usr/share/labctl/prepare.py
# what keeps services from being started while packages are installed here must not go into the image
mv "$root/sbin/start-stop-daemon.REAL" "$root/sbin/start-stop-daemon"
rm -f "$root/usr/sbin/policy-rc.d" "$root"/etc/apt/apt.conf.d/*mmdebstrap "$root"/etc/dpkg/dpkg.cfg.d/*mmdebstrap
rm -f "$root"/etc/ssh/ssh_host_* "$root"/var/log/*.log
rm -rf "$root"/var/lib/apt/lists/* "$root/var/cache/apt/pkgcache.bin" "$root/var/cache/apt/srcpkgcache.bin"
mkdir -p "$root/var/lib/apt/lists/partial"
chroot "$root" apt-get -q -y -o Dir::Etc::sourcelist=/etc/apt/sources.list.d/labctl.list -o Dir::Etc::sourceparts=- update
chroot "$root" apt-cache -q gencaches >/dev/null

say "writing the disk"
# /proc, /sys and /dev are mounted below $root: a plain bind shows what lies under them
mkdir "$root.view"
mount --bind "$root" "$root.view"
mkfs.ext4 -q -F -d "$root.view" -L labctl -m 0 -O ^has_journal -E nodiscard,lazy_itable_init=1 "$LABCTL_DISK" "$LABCTL_SIZE"
umount "$root.view"
rmdir "$root.view"
