/**
 * Which addresses may be tried for somebody else. A member could announce any address, of a host
 * that is none of its own, to have it looked at from here. So never what means this host or its
 * link alone, whoever asks; loopback only for a node on this very host, to whom it is its own.
 * Private networks are where meshes live.
 */
import { BlockList, isIP, isIPv6 } from "node:net"

const loopback = new BlockList()
loopback.addSubnet("127.0.0.0", 8)
loopback.addAddress("::1", "ipv6")

const nobodys = new BlockList()
nobodys.addSubnet("0.0.0.0", 8)
// Link-local: cloud providers answer there with their secrets.
nobodys.addSubnet("169.254.0.0", 16)
nobodys.addSubnet("fe80::", 10, "ipv6")
// The same of others, and over IPv6: of Amazon, Google, Alibaba, Azure and Oracle.
nobodys.addAddress("fd00:ec2::254", "ipv6")
nobodys.addAddress("fd20:ce::254", "ipv6")
nobodys.addAddress("100.100.100.200")
nobodys.addAddress("168.63.129.16")
nobodys.addSubnet("192.0.0.0", 24)
// IPv4's loopback and link-local addresses as translators (NAT64) write them.
nobodys.addSubnet("64:ff9b::7f00:0", 104, "ipv6")
nobodys.addSubnet("64:ff9b::a9fe:0", 112, "ipv6")
// Multicast, reserved, broadcast.
nobodys.addSubnet("224.0.0.0", 3)
nobodys.addSubnet("ff00::", 8, "ipv6")
nobodys.addAddress("::", "ipv6")

/** IPv4 within IPv6 is judged as what it is, and a zone is no part of the address. */
const isIn = (list: BlockList, ip: string): boolean => {
  const [address = ""] = ip.split("%")
  return list.check(address, isIPv6(address) ? "ipv6" : "ipv4")
}

export const isLoopbackIp = (ip: string): boolean => isIP(ip) !== 0 && isIn(loopback, ip)

/** `ip`: what is about to be spoken to, also where a name stood for it. */
export const mayBeTried = (ip: string, isSameHost: boolean): boolean =>
  isIP(ip) !== 0 && !isIn(nobodys, ip) && (isSameHost || !isIn(loopback, ip))

/**
 * Links are dialled to whatever a member announces, loopback included, where meshes of one host live.
 * But nobody has what answers at a link-local address dialled by the whole mesh. Names are not looked
 * up here.
 */
export const mayBeDialled = (address: string): boolean => {
  const ip = /^\/ip[46]\/([^/]+)\//.exec(address)?.[1]
  return ip === undefined || mayBeTried(ip, true)
}

/** Of use on this host alone: a multiaddr of loopback, with or without /p2p. */
export const isLoopbackAddress = (address: string): boolean =>
  isLoopbackIp(/^\/ip[46]\/([^/]+)\//.exec(address)?.[1] ?? "")
