/**
 * The local ports of a node: the proxy, and one for each upstream. Upstreams follow the config
 * while the node runs; a port that cannot be had leaves everything as it was.
 */
import { hostname } from "node:os"
import { Effect, Exit, Scope } from "effect"
import { collides, formatHostPort } from "../config/HostPort.ts"
import type { NodeConfig, UpstreamConfig } from "../config/NodeConfig.ts"
import { type HttpListenerOptions, openHttpListener } from "../request/listener/HttpListener.ts"
import { ListenError } from "../request/listener/ListenError.ts"
import { openTcpListener } from "../request/listener/TcpListener.ts"
import { makePlaneLog } from "./PlaneLog.ts"

export type ListenerContext = Pick<
  HttpListenerOptions,
  "dispatch" | "self" | "ticker" | "metrics" | "sockets"
>

/** What both kinds of listener can do. */
interface Listener {
  readonly stop: () => void
  readonly drain: (deadline: number) => Promise<void>
  readonly close: () => void
}

interface Open {
  readonly upstream: UpstreamConfig
  readonly scope: Scope.CloseableScope
  readonly listener: Listener
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

/** Open while its scope is. */
const openScoped = <L extends Listener>(
  open: () => Promise<L>
): Effect.Effect<L, ListenError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.tryPromise({ try: open, catch: (error) => error }).pipe(
      Effect.catchAll((error) =>
        error instanceof ListenError ? Effect.fail(error) : Effect.die(error)
      )
    ),
    ({ close }) => Effect.sync(close)
  )

const keyOf = ({ allowRemote, listen, service, protocol }: UpstreamConfig): string =>
  `${formatHostPort(listen)} ${service} ${protocol}${allowRemote ? " for all hosts" : ""}`

export const makeListeners = (
  config: NodeConfig,
  context: ListenerContext
): Effect.Effect<Listeners, ListenError, Scope.Scope> =>
  Effect.gen(function* () {
    const parent = yield* Effect.scope
    const common = { ...context, log: yield* makePlaneLog }
    const { http } = config.outbound
    const proxy =
      http === "off"
        ? undefined
        : yield* openScoped(() => openHttpListener({ ...common, ...http.listen }))
    const open = new Map<string, Open>()

    const openOne = (upstream: UpstreamConfig): Effect.Effect<Open, ListenError> =>
      Effect.gen(function* () {
        const scope = yield* Scope.fork(parent, parent.strategy)
        const { allowRemote, service, protocol } = upstream
        const remoteNames = allowRemote ? [hostname().toLowerCase()] : undefined
        const listener = yield* openScoped(
          (): Promise<Listener> =>
            protocol === "http"
              ? openHttpListener({
                  ...common,
                  ...upstream.listen,
                  fixedService: service,
                  remoteNames
                })
              : openTcpListener({ ...common, ...upstream.listen, service })
        ).pipe(
          Scope.extend(scope),
          Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
        )
        return { upstream, scope, listener }
      })

    const close = ({ scope, listener }: Open, deadline: number): Effect.Effect<void> =>
      Effect.zipRight(
        Effect.promise(() => listener.drain(deadline)),
        Scope.close(scope, Exit.void)
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
        for (const { listener } of inTheWay) listener.stop()
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
            ...Array.from(open.values(), ({ listener }) => listener)
          ],
          (listener) => Effect.promise(() => listener.drain(deadline)),
          { concurrency: "unbounded", discard: true }
        )
    }
  })
