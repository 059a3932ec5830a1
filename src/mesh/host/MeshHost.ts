/**
 * This node on the mesh network: a libp2p host with TCP, the mesh's own connection encrypter
 * (Noise, then admission), yamux, identify and gossipsub. What libp2p does about connections by
 * itself (dialling, keeping, pruning, watching) is off: the link pool and membership decide that.
 */
import { type GossipSub, gossipsub } from "@libp2p/gossipsub"
import { type Identify, identify } from "@libp2p/identify"
import type { ConnectionEncrypter, Libp2p, Listener, PeerId, PrivateKey } from "@libp2p/interface"
import { peerIdFromString } from "@libp2p/peer-id"
import { type Multiaddr, multiaddr } from "@multiformats/multiaddr"
import { Context, Effect, Layer, type Scope } from "effect"
import { createLibp2p } from "libp2p"
import { type MeshId, PeerKey } from "../../model/Names.ts"
import { recordLimits } from "../../model/NodeRecord.ts"
import type { EncrypterComponents } from "../trust/AdmissionEncrypter.ts"
import { type Conduct, noConduct } from "../trust/PeerConduct.ts"
import type { Resumer } from "../trust/Resumption.ts"
import { isBound } from "./BoundListener.ts"
import { gossipsubOptions } from "./GossipsubOptions.ts"
import { HostError, listenError } from "./HostError.ts"
import { watchStreams } from "./InboundStreams.ts"
import { type Knocker, type KnockOptions, knock } from "./Knock.ts"
import { quietYamux } from "./QuietYamux.ts"
import { restGossip } from "./RestingGossip.ts"
import { type MakeListener, SocketTransport } from "./SocketTransport.ts"

export type MeshEncrypter = ConnectionEncrypter &
  Partial<Knocker> & {
    /** Spares members that were connected a short while ago a whole handshake. */
    readonly resumer?: Resumer | undefined
  }

export interface MeshHostOptions {
  readonly privateKey: PrivateKey
  readonly mesh: MeshId
  /** Multiaddrs, `/ip4/0.0.0.0/tcp/4001`. Empty: this node only dials. */
  readonly listen: ReadonlyArray<string>
  /** Told to others instead of what is listened on, e.g. behind a NAT. Default: as listened on. */
  readonly announce?: ReadonlyArray<string>
  /** Encrypts and admits: nothing of a connection exists before it has let the peer in. */
  readonly encrypter: (components: EncrypterComponents) => MeshEncrypter
  /** False for peers that are refused although their handshake is right, e.g. revoked ones. */
  readonly allowPeer?: (peer: PeerKey) => boolean
  /** Whoever connects and is refused all the same: this node connects to it instead. */
  readonly callsBack?: ((peer: PeerKey) => boolean) | undefined
  /** Who listens. Default: this thread, itself. */
  readonly makeListener?: MakeListener | undefined
  /** Who opens how many streams, and what for. Default: nobody keeps count. */
  readonly conduct?: Conduct | undefined
  /** Connections at a time that have not shown yet whose they are. Default 512. */
  readonly maxPending?: number | undefined
}

export type MeshLibp2p = Libp2p<{ readonly identify: Identify; readonly pubsub: GossipSub }>

export interface MeshHostShape {
  readonly peer: PeerKey
  readonly mesh: MeshId
  /** For the transports of this folder. */
  readonly libp2p: MeshLibp2p
  /** What others are told: multiaddrs without /p2p, most useful first. */
  readonly addresses: () => ReadonlyArray<string>
  /** What is open here: multiaddrs, 0.0.0.0 and [::] as such, with the ports that were given. */
  readonly listening: () => ReadonlyArray<string>
  /** Is it this node that answers at the address, at least when asked from this host? */
  readonly answersAt: (address: string) => boolean
  /** Whether the peer answers at the address; rejects with the reason when it does not. */
  readonly knock: (
    peer: PeerKey,
    address: string,
    options: Pick<KnockOptions, "allows" | "signal">
  ) => Promise<void>
  /** The open connections with a peer. */
  readonly connections: (peer: PeerKey) => ReadonlyArray<PeerConnection>
  /** Connections with other nodes, in either direction. */
  readonly connectionCount: () => number
  /** Called when their number has changed; answers how to stop. */
  readonly onConnections: (listener: () => void) => () => void
}

export interface PeerConnection {
  /** Outbound: this node has dialled it. */
  readonly direction: "inbound" | "outbound"
  /** The other end, without /p2p: where the peer was reached, or where it called from. */
  readonly address: string
}

/** One for the whole mesh: beyond it the least used connections are closed. */
const maxConnections = 4_096
const defaultMaxPending = 512

const MiB = 1024 * 1024

const muxer = quietYamux({
  // Asks once at the start how far the peer is, by which windows grow. To ask for its end finds nothing
  // (yamux passes over the answer that does not come): members are watched by pings of their own, and
  // connections by TCP's. At every 30 s, as it is by default, it was a tenth of what a mesh at rest says.
  keepAliveInterval: 10 * 60_000,
  // Links, RPC, gossip and identify: a handful of streams per connection, and room for restarts.
  maxInboundStreams: 128,
  maxOutboundStreams: 128,
  streamOptions: {
    // The first window is what the other side assumes, so it stays at yamux's own 256 KiB. It grows
    // by itself to `maxStreamWindowSize`, which a paused stream must be able to hold.
    maxStreamWindowSize: 8 * MiB,
    maxReadBufferLength: 12 * MiB,
    // Unbounded by default. Links stop far below; what exceeds it is a stream gone wild.
    maxWriteBufferLength: 16 * MiB
  }
})

const parseAddress = (text: string): Effect.Effect<Multiaddr, HostError> =>
  Effect.try({
    try: () => multiaddr(text),
    catch: (cause) =>
      new HostError({
        code: "bad_multiaddr",
        value: text,
        message: `${JSON.stringify(text)} is not a multiaddr (${cause instanceof Error ? cause.message : String(cause)}); write it like /ip4/0.0.0.0/tcp/4001`,
        cause
      })
  })

const parseListen = (text: string): Effect.Effect<string, HostError> =>
  parseAddress(text).pipe(
    Effect.filterOrFail(
      (address) => {
        const [host, transport, ...rest] = address.getComponents().map(({ name }) => name)
        return (host === "ip4" || host === "ip6") && transport === "tcp" && rest.length === 0
      },
      () =>
        new HostError({
          code: "bad_multiaddr",
          value: text,
          message: `cannot listen on ${text}: only /ip4/ADDRESS/tcp/PORT and /ip6/ADDRESS/tcp/PORT`
        })
    ),
    Effect.map((address) => address.toString())
  )

export const withoutPeer = (address: string): string => address.replace(/\/p2p\/[^/]+$/, "")

const canKnock = (encrypter: MeshEncrypter): encrypter is MeshEncrypter & Knocker =>
  encrypter.knock !== undefined

const isLoopback = (address: string): boolean =>
  address.startsWith("/ip4/127.") || address.startsWith("/ip6/::1/")

export const makeMeshHost = (
  options: MeshHostOptions
): Effect.Effect<MeshHostShape, HostError, Scope.Scope> =>
  Effect.gen(function* () {
    if (process.env["DUMP_SESSION_KEYS"] !== undefined) {
      return yield* new HostError({
        code: "session_keys_dumped",
        value: "DUMP_SESSION_KEYS",
        message:
          "the environment variable DUMP_SESSION_KEYS is set: the keys of every connection would be written to a file; unset it"
      })
    }
    const listen = yield* Effect.forEach(options.listen, parseListen)
    const announce = yield* Effect.forEach(options.announce ?? [], parseAddress)
    const refused = (peer: PeerId): boolean =>
      options.allowPeer !== undefined && !options.allowPeer(PeerKey.make(peer.toString()))
    const listeners = new Set<Listener>()
    let encrypter: MeshEncrypter | undefined
    const start = Effect.tryPromise({
      try: async () => {
        const libp2p: MeshLibp2p = await createLibp2p({
          start: false,
          privateKey: options.privateKey,
          nodeInfo: { name: "skein", userAgent: "skein" },
          addresses: { listen, announce: announce.map(String) },
          transports: [
            (components) =>
              new SocketTransport(components, options.makeListener, () => encrypter?.resumer)
          ],
          connectionEncrypters: [
            (components) => {
              encrypter = options.encrypter(components)
              return encrypter
            },
            // For who is called. Who calls proposes it where there is something to resume (SocketTransport.ts).
            () => {
              if (encrypter === undefined) throw new Error("encrypters are made in turn")
              return encrypter.resumer ?? encrypter
            }
          ],
          streamMuxers: [muxer],
          connectionGater: {
            // Private and loopback addresses are where meshes live.
            denyDialMultiaddr: () => false,
            denyDialPeer: refused,
            denyInboundEncryptedConnection: (peer) =>
              refused(peer) || (options.callsBack?.(PeerKey.make(peer.toString())) ?? false),
            denyOutboundEncryptedConnection: refused
          },
          connectionManager: {
            maxConnections,
            maxParallelDials: 128,
            dialTimeout: 5_000,
            addressDialTimeout: 3_000,
            inboundUpgradeTimeout: 5_000,
            outboundStreamProtocolNegotiationTimeout: 5_000,
            inboundStreamProtocolNegotiationTimeout: 5_000,
            // A rack behind one address that restarts together must get in.
            inboundConnectionThreshold: 1_000,
            maxIncomingPendingConnections: options.maxPending ?? defaultMaxPending,
            reconnectRetries: 0
          },
          // Links ping by themselves, faster, and know what it means.
          connectionMonitor: { enabled: false },
          services: { identify: identify(), pubsub: gossipsub(gossipsubOptions(options.mesh)) }
        })
        restGossip(libp2p.services.pubsub, libp2p)
        watchStreams(libp2p, options.conduct ?? noConduct)
        libp2p.addEventListener("transport:listening", ({ detail }) => listeners.add(detail))
        libp2p.addEventListener("transport:close", ({ detail }) => listeners.delete(detail))
        try {
          await libp2p.start()
        } catch (error) {
          await libp2p.stop()
          throw error
        }
        return libp2p
      },
      catch: (cause) => listenError(listen, cause)
    })
    const libp2p = yield* Effect.acquireRelease(start, (host) =>
      Effect.tryPromise(async () => host.stop()).pipe(
        Effect.timeout("5 seconds"),
        Effect.catchAll((error) =>
          Effect.logWarning(
            `the mesh host did not stop cleanly (${error.message}); its sockets end with the process`
          )
        )
      )
    )
    return {
      peer: PeerKey.make(libp2p.peerId.toString()),
      mesh: options.mesh,
      libp2p,
      connectionCount: () => libp2p.getConnections().length,
      onConnections: (listener) => {
        libp2p.addEventListener("connection:open", listener)
        libp2p.addEventListener("connection:close", listener)
        return () => {
          libp2p.removeEventListener("connection:open", listener)
          libp2p.removeEventListener("connection:close", listener)
        }
      },
      addresses: () => {
        const all = [...new Set(libp2p.getMultiaddrs().map((it) => withoutPeer(it.toString())))]
        const reachable = all.filter((address) => !isLoopback(address))
        const loopback = all.filter(isLoopback)
        return [...reachable, ...loopback].slice(0, recordLimits.addresses)
      },
      listening: () =>
        Array.from(listeners).flatMap((listener) =>
          isBound(listener) ? (listener.bound?.toString() ?? []) : []
        ),
      answersAt: (address) =>
        Array.from(listeners).some((listener) =>
          listener.getAddrs().some((open) => withoutPeer(open.toString()) === address)
        ),
      knock: async (peer, address, asked) => {
        if (encrypter === undefined || !canKnock(encrypter)) {
          throw new Error("this host's encrypter cannot knock")
        }
        await knock(peer, address, { ...asked, encrypter, logger: libp2p.logger })
      },
      connections: (peer) =>
        libp2p
          .getConnections(peerIdFromString(peer))
          .filter(({ status }) => status === "open")
          .map(({ direction, remoteAddr }) => ({
            direction,
            address: withoutPeer(remoteAddr.toString())
          }))
    }
  })

export class MeshHost extends Context.Tag("skein/link/MeshHost")<MeshHost, MeshHostShape>() {
  static readonly layer = (options: MeshHostOptions): Layer.Layer<MeshHost, HostError> =>
    Layer.scoped(MeshHost, makeMeshHost(options))
}
