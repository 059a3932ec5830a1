/**
 * Who answers at an address? A connection is made as far as Noise has proved it, and dropped: it
 * never becomes one of libp2p's, and what is there already with that peer is not touched. To a host
 * that is none of the mesh it is 36 bytes, and no answer of it is passed on.
 */
import { lookup } from "node:dns/promises"
import { isIPv4 } from "node:net"
import { setTimeout } from "node:timers/promises"
import type { ComponentLogger, MessageStream, PeerId } from "@libp2p/interface"
import { peerIdFromString } from "@libp2p/peer-id"
import { multiaddr } from "@multiformats/multiaddr"
import { parseMultiaddr } from "../../config/Multiaddr.ts"
import type { PeerKey } from "../../model/Names.ts"
import { AdmissionRefused } from "../trust/AdmissionRefused.ts"
import { agreeOn } from "./ProtocolAgreement.ts"
import { connectSocket } from "./SocketTransport.ts"

/** A connection encrypter that can end after it has proved who is there. */
export interface Knocker {
  readonly protocol: string
  knock(connection: MessageStream, peer: PeerId, signal: AbortSignal): Promise<void>
}

export interface KnockOptions {
  readonly signal: AbortSignal
  readonly logger: ComponentLogger
  readonly encrypter: Knocker
  /** May this IP address be dialled? Asked of what a name stands for, too. Default: any may. */
  readonly allows?: ((ip: string) => boolean) | undefined
}

const families: Readonly<Record<string, 0 | 4 | 6>> = { dns: 0, dns4: 4, dns6: 6 }

/** Lookups cannot be stopped; what they find out too late is of no use. */
const before = <A>(signal: AbortSignal, answer: Promise<A>): Promise<A> =>
  new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason)
    signal.addEventListener("abort", onAbort, { once: true })
    answer.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort))
  })

/** The address, or what its name stands for: one of each family, so that a name is no list of hosts. */
const ipsOf = async (address: string, signal: AbortSignal) => {
  const target = parseMultiaddr(address)
  if (target === undefined) throw new Error(`${address} is not an address to be dialled`)
  const { host, kind, port } = target
  const family = families[kind]
  const found =
    family === undefined
      ? [host]
      : (await before(signal, lookup(host, { all: true, family }))).map(({ address: ip }) => ip)
  const one = [found.find(isIPv4), found.find((ip) => !isIPv4(ip))]
  return one.flatMap((ip) => (ip === undefined ? [] : [{ ip, port }]))
}

/** Done when the peer answered at the address (a multiaddr without /p2p); else rejects with the reason. */
export const knock = async (
  peer: PeerKey,
  address: string,
  options: KnockOptions
): Promise<void> => {
  const { allows = () => true, signal } = options
  signal.throwIfAborted()
  const ips = await ipsOf(address, signal)
  const answered = new AbortController()
  const asked = { ...options, signal: AbortSignal.any([signal, answered.signal]) }
  try {
    await Promise.any(
      ips.map(async ({ ip, port }) => {
        // Judged here and not by whoever asks: it is this that is dialled, and not the name again.
        if (!allows(ip)) throw new Error(`${ip} is not an address to be tried`)
        await knockAt(peer, `/${isIPv4(ip) ? "ip4" : "ip6"}/${ip}/tcp/${port}`, asked)
      })
    )
  } catch (reason) {
    throw reason instanceof AggregateError ? reason.errors[0] : reason
  } finally {
    answered.abort()
  }
}

const knockAt = async (
  peer: PeerKey,
  address: string,
  { encrypter, logger, signal }: KnockOptions
): Promise<void> => {
  for (;;) {
    const connection = await connectSocket(multiaddr(address), logger, signal)
    try {
      await agreeOn([encrypter.protocol], connection, signal)
      await encrypter.knock(connection, peerIdFromString(peer), signal)
      return
    } catch (cause) {
      // Somebody is there and has no time to prove who it is.
      if (!(cause instanceof AdmissionRefused) || cause.retryAfter === undefined) throw cause
      await setTimeout(cause.retryAfter, undefined, { signal })
    } finally {
      connection.abort(new Error("the question was answered"))
    }
  }
}
