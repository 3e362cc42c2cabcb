# A droplet as a container: systemd as its first process, and the real cloud-init. Debian stands in for Ubuntu, whose mirrors are not Debian's.
ARG BASE
FROM ${BASE} AS bare
RUN apt-get -q update \
 && DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends \
    ca-certificates cloud-init dbus iproute2 kmod openssh-server procps python3 systemd systemd-sysv wireguard-go \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb /etc/apt/sources.list.d/* /etc/ssh/ssh_host_* && : >/etc/apt/sources.list
# The network is plugged in from outside. A container has no disks to grow, no keys to make and no screen to log in at.
RUN echo 'locale: C.UTF-8' >/etc/cloud/cloud.cfg.d/90-locale.cfg \
 && echo 'network: {config: disabled}' >/etc/cloud/cloud.cfg.d/90-network.cfg \
 && echo 'datasource_list: [ConfigDrive, None]' >/etc/cloud/cloud.cfg.d/90-source.cfg \
 && systemctl mask getty.target console-getty.service systemd-udevd.service systemd-logind.service systemd-networkd-wait-online.service \
      systemd-resolved.service systemd-timesyncd.service systemd-modules-load.service e2scrub_reap.service fstrim.timer \
 && printf '#!/bin/sh\n# A machine is switched on when its cable is in.\nuntil [ -e /sys/class/net/eth0 ]; do sleep 0.05; done\nexec /lib/systemd/systemd\n' >/sbin/boot \
 && chmod 755 /sbin/boot && rm -f /etc/machine-id && : >/etc/machine-id
STOPSIGNAL SIGRTMIN+3
ENV container=docker
CMD ["/sbin/boot"]

# With the packages that a hub needs: nothing is fetched but the wheels.
FROM bare AS full
ARG MIRROR
RUN echo "deb $MIRROR bookworm main" >/etc/apt/sources.list && apt-get -q update \
 && DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends netbase nftables python3-venv wireguard-tools \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb && : >/etc/apt/sources.list
