#!/bin/bash
# The first process of the guest: a file server with an ext4 of its own, and two clients in network namespaces of their own that mount it.
# Then it runs what it was given. The guest sees the host's files, but may write to the scratch folder only.
# shellcheck disable=SC2086
scratch=$1 python=$2 options=$3 amount=$4
case $options in *vers=4*) served=/ ;; *) served=/mnt/served ;; esac
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t tmpfs run /run
mkdir /run/scratch
mount -t hostfs scratch /run/scratch -o "$scratch"
exec >/run/scratch/said 2>&1
tools=$scratch/tools
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs mnt /mnt
mount -t tmpfs lib /var/lib
mkdir -p /run/etc /run/rpcbind /run/lock /run/netns /var/lib/nfs/rpc_pipefs /var/lib/nfs/v4recovery /mnt/served /mnt/one /mnt/two
cp -r "$tools"/etc/* /etc/{passwd,group,nsswitch.conf,ld.so.cache,hosts} /run/etc/
mount -o bind /run/etc /etc
echo "_rpc:x:110:65534::/run/rpcbind:/usr/sbin/nologin" >>/etc/passwd
echo "/mnt/served *(rw,sync,no_root_squash,no_subtree_check,fsid=0,insecure)" >/etc/exports
LD_LIBRARY_PATH=$(echo "$tools"/usr/lib/*-linux-gnu):$(echo "$tools"/lib/*-linux-gnu)
export LD_LIBRARY_PATH

fail() {
    echo "GUEST: $*"
    sync
    poweroff -f
}

for module in sunrpc lockd nfsd nfs nfsv3 nfsv4 veth sch_netem; do
    modprobe -d "$scratch/modules" $module || fail "no module $module"
done
mount -t ext4 /dev/ubda /mnt/served || fail "the disk cannot be mounted"
ip link set lo up
number=0
for name in one two; do
    number=$((number + 1))
    ip netns add $name
    ip link add to-$name type veth peer name wire
    ip link set wire netns $name
    ip addr add 10.77.$number.1/24 dev to-$name
    ip link set to-$name up
    ip -n $name addr add 10.77.$number.2/24 dev wire
    ip -n $name link set wire up
    ip -n $name link set lo up
done
rpcbind=$(ls "$tools"/sbin/rpcbind "$tools"/usr/sbin/rpcbind 2>/dev/null | head -1)
$rpcbind -w || fail "rpcbind does not start"
mount -t nfsd nfsd /proc/fs/nfsd
"$tools"/usr/sbin/exportfs -ra || fail "nothing can be exported"
echo 10 >/proc/fs/nfsd/nfsv4leasetime
echo 10 >/proc/fs/nfsd/nfsv4gracetime
"$tools"/usr/sbin/rpc.nfsd 4 || fail "the file server does not start"
"$tools"/usr/sbin/rpc.mountd 2>/dev/null || fail "mountd does not start"
number=0
for name in one two; do
    number=$((number + 1))
    nsenter --net=/run/netns/$name timeout 30 "$tools"/sbin/mount.nfs 10.77.$number.1:$served /mnt/$name -o "$options,proto=tcp,hard" ||
        fail "client $name cannot mount ($options)"
done
echo "GUEST: up after $(cut -d ' ' -f 1 /proc/uptime) s"
unset LD_LIBRARY_PATH
PYTHONPATH=$5 PYTHONDONTWRITEBYTECODE=1 $python -m ropeway.testing.proof.abroad /run/scratch "$amount" || echo "GUEST: ended with $?"
sync
poweroff -f
