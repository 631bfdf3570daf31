# playbook.yml as a shell script: what a first run cannot do without, once.
set -e
export DEBIAN_FRONTEND=noninteractive
apt-get -y -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold install bind9 haproxy curl
install -d -m 755 /opt/lab /opt/lab/www /opt/lab/zones
useradd --system --no-create-home --shell /usr/sbin/nologin worker
cat > /etc/bind/db.example.com <<'END'
$TTL 1h
@    IN SOA ns.example.com. root.example.com. ( 7 1h 15m 30d 2h )
@    IN NS  ns.example.com.
@    IN A   10.77.0.11
ns   IN A   10.77.0.11
test IN A   93.184.216.34
END
cat >> /etc/bind/named.conf.local <<'END'
# BEGIN ANSIBLE MANAGED BLOCK
zone "example.com" { type master; file "/etc/bind/db.example.com"; };
# END ANSIBLE MANAGED BLOCK
END
cat > /etc/bind/named.conf.options <<'END'
options {
    directory "/var/cache/bind";
    allow-recursion { localhost; };
    listen-on-v6 { any; };
};
END
cat >> /etc/haproxy/haproxy.cfg <<'END'
# BEGIN ANSIBLE MANAGED BLOCK
frontend door
    bind *:7000
    default_backend kitchen
backend kitchen
    balance roundrobin
    server w8080 127.0.0.1:8080 check
    server w8081 127.0.0.1:8081 check
    server w8082 127.0.0.1:8082 check
    server w8083 127.0.0.1:8083 check
    server w8084 127.0.0.1:8084 check
    server w8085 127.0.0.1:8085 check
# END ANSIBLE MANAGED BLOCK
END
echo "page a" > /opt/lab/www/a.html
echo "page b" > /opt/lab/www/b.html
cat > /etc/systemd/system/lab-worker@.service <<'END'
[Unit]
Description=Worker

[Service]
User=worker
ExecStart=/usr/bin/python3 -m http.server %i --bind 127.0.0.1 --directory /opt/lab/www

[Install]
WantedBy=multi-user.target
END
chmod 644 /etc/bind/db.example.com /etc/bind/named.conf.options /opt/lab/www/*.html \
    /etc/systemd/system/lab-worker@.service
for unit in named haproxy lab-worker@8080 lab-worker@8081 lab-worker@8082 lab-worker@8083 lab-worker@8084 \
    lab-worker@8085; do
    systemctl enable "$unit"
    systemctl start "$unit"
done
for port in 8080 8081 8082 8083 8084 8085; do
    timeout 10 sh -c "until ss -Hltn sport = :$port | grep -q .; do sleep 0.1; done"
done
sed -i 's/^OPTIONS=.*/OPTIONS="-u bind -4"/' /etc/default/named
ln -sfn /opt/lab/www /srv/www
rm -rf /opt/lab/old
named-checkconf
stat /etc/bind/db.example.com
