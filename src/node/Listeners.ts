/**
 * The local ports of a node: the proxy, those of programs that speak for a service, and one for each
 * upstream. All but the first follow the config while the node runs; a port that cannot be had leaves
 * everything as it was.
 */
import { hostname } from "node:os"
import { Effect, type Scope } from "effect"
import { usualDetect } from "../config/ConfigTime.ts"
import {
  type AdminAddress,
  collides,
  formatAdminAddress,
  formatHostPort
} from "../config/HostPort.ts"
import type { NodeConfig } from "../config/NodeConfig.ts"
import type { CallerListenerConfig, UpstreamConfig } from "../config/OutboundConfig.ts"
import { ownerIds, userId } from "../config/SystemUsers.ts"
import type { ServiceName } from "../model/Names.ts"
import { maySpeakFor, type SessionFacts } from "../model/Session.ts"
import { unixPathOf } from "../model/UnixHost.ts"
import { ListenError, makeListenError } from "../request/listener/ListenError.ts"
import type { ListenSpec } from "../request/PlaneMessages.ts"
import type { RequestThreads } from "./RequestThreads.ts"
import type { OpenPort } from "./ThreadPorts.ts"

type ListenOfHttp = Extract<ListenSpec, { readonly kind: "http" }>

/** A port as the config wants it. */
interface Wanted {
  /** Says all that is wanted of it, for people too. */
  readonly key: string
  readonly listen: AdminAddress
  readonly as: ServiceName | undefined
  /** It reaches every service, and not one alone. */
  readonly isProxy: boolean
  /** Throws where the host knows no such user. */
  readonly spec: () => ListenSpec
}

interface Open {
  readonly wanted: Wanted
  readonly port: OpenPort
}

/** Where programs speak for a service, or for the host. */
export interface OpenListener {
  readonly address: string
  readonly as: ServiceName | undefined
}

/** Those for which this node may not speak, as people are told. */
export const ungranted = (
  callers: ReadonlyArray<OpenListener>,
  facts: SessionFacts
): ReadonlyArray<string> =>
  callers.flatMap(({ address, as }) =>
    as === undefined || maySpeakFor(facts, as)
      ? []
      : [
          `${address} speaks for ${as}, which this node's certificate does not grant: its calls are refused; an invite with --as ${as} gives a node that right`
        ]
  )

export interface Listeners {
  /** `host:port` of the proxy; undefined when it is off. */
  readonly proxy: string | undefined
  /** Those of `outbound.listeners`, and upstreams that speak for a service. */
  readonly callers: () => ReadonlyArray<OpenListener>
  /**
   * Opens what is new and drains what is gone, with `deadline` in ms for the latter. One at a
   * time: the next one waits.
   */
  readonly follow: (
    config: Pick<NodeConfig, "outbound" | "upstreams">,
    deadline: number
  ) => Effect.Effect<void, ListenError>
  /** Takes nothing new and waits for what runs, at most `deadline` ms. */
  readonly drain: (deadline: number) => Effect.Effect<void>
}

const asText = (as: ServiceName | undefined): string => (as === undefined ? "" : ` as ${as}`)

const wantedUpstream = (upstream: UpstreamConfig): Wanted => {
  const { allowRemote, as, detect, grpcWeb, listen, mode = ownMode, owner, protocol } = upstream
  const { service, uid } = upstream
  const path = unixPathOf(listen.host)
  const spec = (): ListenSpec => {
    const common = {
      ...{ ...listen, as, service, uid: uid === undefined ? undefined : userId(uid) },
      ...(path === undefined ? {} : { unix: unixSpec(path, mode, owner) })
    }
    return protocol === "tcp"
      ? { ...common, kind: "tcp" }
      : {
          ...{ ...common, kind: "http" },
          remoteNames: allowRemote ? [hostname().toLowerCase()] : undefined,
          grpcWeb: grpcWeb?.origins,
          ...(protocol === "auto" ? { detect: detect ?? usualDetect } : {})
        }
  }
  const ofSocket = path === undefined ? "" : ` ${mode} ${owner ?? ""}`
  const who = `${allowRemote ? " for all hosts" : ""}${uid === undefined ? "" : ` of user ${uid}`}`
  const web = grpcWeb === undefined ? "" : ` for gRPC-Web of ${grpcWeb.origins.join(", ")}`
  const spoken = detect === undefined ? protocol : `${protocol} ${detect}`
  const whose = `${asText(as)}${who}${ofSocket}${web}`
  return {
    key: `upstream ${formatHostPort(listen)} ${service} ${spoken}${whose}`,
    ...{ as, isProxy: false, spec },
    listen: path === undefined ? listen : { path }
  }
}

/** Permissions of a socket where nothing is said: only the user of the node may connect. */
const ownMode = "0600"

const unixSpec = (path: string, mode: string, owner: string | undefined) => ({
  ...{ path, mode: Number.parseInt(mode, 8) },
  ...ownerIds(owner)
})

const wantedListener = (
  listener: CallerListenerConfig,
  grpcWeb: ListenOfHttp["grpcWeb"]
): Wanted => {
  const { as, listen, mode = ownMode, owner, uid } = listener
  const isPath = "path" in listen
  const who = isPath ? ` ${mode} ${owner ?? ""}` : uid === undefined ? "" : ` of user ${uid}`
  return {
    key: `listener ${formatAdminAddress(listen)}${asText(as)}${who}`,
    ...{ listen, as, isProxy: true },
    spec: () =>
      isPath
        ? {
            ...{ kind: "proxy", as, host: formatAdminAddress(listen), port: 0, grpcWeb },
            unix: unixSpec(listen.path, mode, owner)
          }
        : {
            ...listen,
            kind: "proxy",
            as,
            uid: uid === undefined ? undefined : userId(uid),
            grpcWeb
          }
  }
}

/** Both cannot be open at a time. */
const clash = (a: AdminAddress, b: AdminAddress): boolean =>
  "path" in a ? "path" in b && a.path === b.path : !("path" in b) && collides(a, b)

export const makeListeners = (
  config: NodeConfig,
  threads: Pick<RequestThreads, "open">
): Effect.Effect<Listeners, ListenError, Scope.Scope> =>
  Effect.gen(function* () {
    const parent = yield* Effect.scope
    const { grpcWeb, http } = config.outbound
    const pages = grpcWeb?.origins
    const open = new Map<string, Open>()
    const openPort = (spec: ListenSpec): Effect.Effect<OpenPort, ListenError> =>
      Effect.tryPromise({
        try: () => threads.open(spec),
        catch: (cause) => (cause instanceof ListenError ? cause : refused(spec, cause))
      })
    const proxy =
      http === "off"
        ? undefined
        : yield* Effect.acquireRelease(
            openPort({ ...http.listen, kind: "proxy", grpcWeb: pages }),
            (port) => Effect.sync(port.close)
          )
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        for (const { port } of open.values()) port.close()
      })
    )

    const openOne = (wanted: Wanted): Effect.Effect<Open, ListenError> =>
      Effect.try({ try: wanted.spec, catch: (cause) => unknownUser(wanted, cause) }).pipe(
        Effect.flatMap(openPort),
        Effect.map((port) => ({ wanted, port }))
      )

    const close = ({ port }: Open, deadline: number): Effect.Effect<void> =>
      Effect.zipRight(
        Effect.promise(() => port.drain(deadline)),
        Effect.sync(port.close)
      )

    /** All of them, or none. */
    const openAll = (all: ReadonlyArray<Wanted>) =>
      Effect.gen(function* () {
        const opened: Array<Open> = []
        yield* Effect.forEach(
          all,
          (wanted) => Effect.map(openOne(wanted), (it) => opened.push(it)),
          { discard: true }
        ).pipe(
          Effect.onError(() => Effect.forEach(opened, (it) => close(it, 0), { discard: true }))
        )
        return opened
      })

    const closeLater = (old: Open, deadline: number) =>
      Effect.forkIn(Effect.interruptible(close(old, deadline)), parent)

    /** The port was ours a moment ago; should somebody have been faster, it is lost, and told. */
    const reopen = ({ wanted }: Open) =>
      openOne(wanted).pipe(
        Effect.tap((it) => Effect.sync(() => open.set(wanted.key, it))),
        Effect.asVoid,
        Effect.catchAll(({ message }) => {
          open.delete(wanted.key)
          return Effect.logError(`the ${wanted.key} was lost: ${message}`)
        })
      )

    const turns = yield* Effect.makeSemaphore(1)
    const follow: Listeners["follow"] = ({ outbound, upstreams }, deadline) =>
      Effect.gen(function* () {
        const all = [
          ...upstreams.map(wantedUpstream),
          ...outbound.listeners.map((listener) => wantedListener(listener, pages))
        ]
        const wanted = new Map(all.map((one) => [one.key, one]))
        const gone = Array.from(open.values()).filter((old) => !wanted.has(old.wanted.key))
        const fresh = Array.from(wanted.values()).filter(({ key }) => !open.has(key))
        // A port that changes hands must be free before it can be taken again. That comes last,
        // when nothing else can fail any more.
        const clashes = (one: Wanted, old: Open) => clash(one.listen, old.wanted.listen)
        const inTheWay = gone.filter((old) => fresh.some((one) => clashes(one, old)))
        const takers = fresh.filter((one) => inTheWay.some((old) => clashes(one, old)))
        const opened = yield* openAll(fresh.filter((one) => !takers.includes(one)))
        yield* Effect.forEach(inTheWay, ({ port }) => Effect.promise(port.stop))
        const taken = yield* openAll(takers).pipe(
          Effect.onError(() =>
            Effect.forEach(opened, (it) => close(it, 0), { discard: true }).pipe(
              Effect.zipRight(Effect.forEach(inTheWay, (old) => closeLater(old, deadline))),
              Effect.zipRight(Effect.forEach(inTheWay, reopen))
            )
          )
        )
        for (const old of gone) {
          open.delete(old.wanted.key)
          yield* closeLater(old, deadline)
        }
        for (const it of [...opened, ...taken]) open.set(it.wanted.key, it)
      }).pipe(Effect.uninterruptible, turns.withPermits(1))

    yield* follow(config, 0)
    return {
      proxy: proxy === undefined ? undefined : formatHostPort(proxy.address),
      callers: () =>
        Array.from(open.values(), ({ port, wanted }) => ({ ...wanted, port })).flatMap(
          ({ as, isProxy, port }) =>
            isProxy || as !== undefined ? [{ address: formatHostPort(port.address), as }] : []
        ),
      follow,
      drain: (deadline) =>
        Effect.forEach(
          [
            ...(proxy === undefined ? [] : [proxy]),
            ...Array.from(open.values(), ({ port }) => port)
          ],
          (port) => Effect.promise(() => port.drain(deadline)),
          { concurrency: "unbounded", discard: true }
        )
    }
  })

const refused = ({ host, port }: ListenSpec, cause: unknown): ListenError =>
  makeListenError(host, port, cause instanceof Error ? cause : new Error(String(cause)))

const unknownUser = ({ listen }: Wanted, cause: unknown): ListenError => {
  const error = cause instanceof Error ? cause : new Error(String(cause))
  const address = formatAdminAddress(listen)
  const message = `cannot listen on ${address}: ${error.message}`
  return new ListenError({ code: "other", address, message, cause: error })
}
