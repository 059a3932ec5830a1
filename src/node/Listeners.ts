/**
 * The local ports of a node: the proxy, and one for each upstream. Upstreams follow the config
 * while the node runs; a port that cannot be had leaves everything as it was.
 */
import { hostname } from "node:os"
import { Effect, type Scope } from "effect"
import { collides, formatHostPort } from "../config/HostPort.ts"
import type { NodeConfig, UpstreamConfig } from "../config/NodeConfig.ts"
import { ListenError, makeListenError } from "../request/listener/ListenError.ts"
import type { ListenSpec } from "../request/PlaneMessages.ts"
import type { RequestThreads } from "./RequestThreads.ts"
import type { OpenPort } from "./ThreadPorts.ts"

interface Open {
  readonly upstream: UpstreamConfig
  readonly port: OpenPort
}

export interface Listeners {
  /** `host:port` of the proxy; undefined when it is off. */
  readonly proxy: string | undefined
  /**
   * Opens what is new and drains what is gone, with `deadline` in ms for the latter. One at a
   * time: the next one waits.
   */
  readonly follow: (
    upstreams: ReadonlyArray<UpstreamConfig>,
    deadline: number
  ) => Effect.Effect<void, ListenError>
  /** Takes nothing new and waits for what runs, at most `deadline` ms. */
  readonly drain: (deadline: number) => Effect.Effect<void>
}

const keyOf = ({ allowRemote, listen, service, protocol }: UpstreamConfig): string =>
  `${formatHostPort(listen)} ${service} ${protocol}${allowRemote ? " for all hosts" : ""}`

const specOf = ({ allowRemote, listen, protocol, service }: UpstreamConfig): ListenSpec =>
  protocol === "http"
    ? {
        ...{ ...listen, kind: "http", service },
        remoteNames: allowRemote ? [hostname().toLowerCase()] : undefined
      }
    : { ...listen, kind: "tcp", service }

export const makeListeners = (
  config: NodeConfig,
  threads: Pick<RequestThreads, "open">
): Effect.Effect<Listeners, ListenError, Scope.Scope> =>
  Effect.gen(function* () {
    const parent = yield* Effect.scope
    const { http } = config.outbound
    const open = new Map<string, Open>()
    const openPort = (spec: ListenSpec): Effect.Effect<OpenPort, ListenError> =>
      Effect.tryPromise({
        try: () => threads.open(spec),
        catch: (cause) => (cause instanceof ListenError ? cause : refused(spec, cause))
      })
    const proxy =
      http === "off"
        ? undefined
        : yield* Effect.acquireRelease(openPort({ ...http.listen, kind: "proxy" }), (port) =>
            Effect.sync(port.close)
          )
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        for (const { port } of open.values()) port.close()
      })
    )

    const openOne = (upstream: UpstreamConfig): Effect.Effect<Open, ListenError> =>
      Effect.map(openPort(specOf(upstream)), (port) => ({ upstream, port }))

    const close = ({ port }: Open, deadline: number): Effect.Effect<void> =>
      Effect.zipRight(
        Effect.promise(() => port.drain(deadline)),
        Effect.sync(port.close)
      )

    /** All of them, or none. */
    const openAll = (upstreams: ReadonlyArray<UpstreamConfig>) =>
      Effect.gen(function* () {
        const opened: Array<Open> = []
        yield* Effect.forEach(
          upstreams,
          (upstream) => Effect.map(openOne(upstream), (it) => opened.push(it)),
          { discard: true }
        ).pipe(
          Effect.onError(() => Effect.forEach(opened, (it) => close(it, 0), { discard: true }))
        )
        return opened
      })

    const closeLater = (old: Open, deadline: number) =>
      Effect.forkIn(Effect.interruptible(close(old, deadline)), parent)

    /** The port was ours a moment ago; should somebody have been faster, it is lost, and told. */
    const reopen = ({ upstream }: Open) =>
      openOne(upstream).pipe(
        Effect.tap((it) => Effect.sync(() => open.set(keyOf(upstream), it))),
        Effect.asVoid,
        Effect.catchAll(({ message }) => {
          open.delete(keyOf(upstream))
          return Effect.logError(`the upstream ${keyOf(upstream)} was lost: ${message}`)
        })
      )

    const turns = yield* Effect.makeSemaphore(1)
    const follow: Listeners["follow"] = (upstreams, deadline) =>
      Effect.gen(function* () {
        const wanted = new Map(upstreams.map((upstream) => [keyOf(upstream), upstream]))
        const gone = Array.from(open.values()).filter(
          ({ upstream }) => !wanted.has(keyOf(upstream))
        )
        const fresh = Array.from(wanted.values()).filter((one) => !open.has(keyOf(one)))
        // A port that changes hands must be free before it can be taken again. That comes last,
        // when nothing else can fail any more.
        const clashes = (one: UpstreamConfig, { upstream }: Open) =>
          collides(one.listen, upstream.listen)
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
          open.delete(keyOf(old.upstream))
          yield* closeLater(old, deadline)
        }
        for (const it of [...opened, ...taken]) open.set(keyOf(it.upstream), it)
      }).pipe(Effect.uninterruptible, turns.withPermits(1))

    yield* follow(config.upstreams, 0)
    return {
      proxy: proxy === undefined ? undefined : formatHostPort(proxy.address),
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
