#!/bin/sh
# Creates the certificates with which the members of a cell speak to each other: an authority of the cell's own, and a
# certificate for each member. Existing ones are kept, so a later call adds a member.
set -eu

authority_days=3650
member_days=1825

usage() {
    cat <<'END'
Usage: etcd-certificates.sh DIR NAME=ADDRESS...

Writes ca.crt, ca.key, and NAME.crt and NAME.key of each member into DIR. ADDRESS is the IP address or the host name in
the peer URL of the member. To renew the certificate of a member, remove its two files first.

Example: etcd-certificates.sh home etcd1=192.0.2.1 etcd2=192.0.2.2 etcd3=192.0.2.3
END
}

fail() {
    echo "etcd-certificates.sh: $*" >&2
    exit 1
}

# Creates a private key at $1.key and a request for $2 at $1.csr.
request() {
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key.new"
    openssl req -new -key "$1.key.new" -subj "/CN=$2" -out "$1.csr"
}

# Signs $1.csr with the extensions of the other arguments, and puts key and certificate in their places.
sign() {
    of=$1
    days=$2
    shift 2
    printf '%s\n' "$@" >"$of.ext"
    if [ "$of" = ca ]; then set -- -signkey ca.key.new; else set -- -CA ca.crt -CAkey ca.key; fi
    openssl x509 -req -in "$of.csr" -days "$days" -sha256 -extfile "$of.ext" "$@" \
        -set_serial "0x$(openssl rand -hex 16)" -out "$of.crt.new" 2>/dev/null || fail "openssl did not sign $of"
    rm "$of.csr" "$of.ext"
    mv "$of.key.new" "$of.key"
    mv "$of.crt.new" "$of.crt"
}

alternative_name() {
    case "$1" in
        *[!0-9.]*) case "$1" in *:*) echo "IP:$1" ;; *) echo "DNS:$1" ;; esac ;;
        *) echo "IP:$1" ;;
    esac
}

[ $# -ge 2 ] || { usage >&2; exit 2; }
command -v openssl >/dev/null || fail 'openssl: not found'
directory=$1
shift
for member in "$@"; do
    case "$member" in
        ca=* | =* | *= | *[!a-zA-Z0-9.:=_-]*) fail "\`$member\` is not NAME=ADDRESS" ;;
        *=*) ;;
        *) fail "\`$member\` is not NAME=ADDRESS" ;;
    esac
done
umask 077
mkdir -p "$directory"
cd "$directory"

if [ ! -e ca.crt ] || [ ! -e ca.key ]; then
    if [ -e ca.crt ] || [ -e ca.key ]; then fail "$directory has only one of ca.crt and ca.key"; fi
    request ca 'authority of an etcd cell'
    sign ca "$authority_days" basicConstraints=critical,CA:TRUE keyUsage=critical,keyCertSign,cRLSign \
        subjectKeyIdentifier=hash
fi
for member in "$@"; do
    name=${member%%=*}
    address=${member#*=}
    if [ -e "$name.crt" ] && [ -e "$name.key" ]; then
        echo "$directory/$name.crt exists already; it is kept"
        continue
    fi
    request "$name" "$name"
    sign "$name" "$member_days" basicConstraints=critical,CA:FALSE keyUsage=critical,digitalSignature \
        extendedKeyUsage=serverAuth,clientAuth "subjectAltName=$(alternative_name "$address")" \
        authorityKeyIdentifier=keyid
    echo "$directory/$name.crt is for $address"
done
