/**
 * The local ports of a node: the proxy, and one for each upstream. Upstreams follow the config
 * while the node runs; a port that cannot be had leaves everything as it was.
 */
import { hostname } from "node:os"
import { Effect, Exit, Scope } from "effect"
import { collides, formatHostPort } from "../config/HostPort.ts"
import type { NodeConfig, UpstreamConfig } from "../config/NodeConfig.ts"
import { type HttpListenerOptions, makeHttpListener } from "../request/listener/HttpListener.ts"
import type { ListenError } from "../request/listener/ListenError.ts"
import { makeTcpListener } from "../request/listener/TcpListener.ts"

export type ListenerContext = Pick<
  HttpListenerOptions,
  "dispatch" | "self" | "ticker" | "metrics" | "sockets"
>

/** What both kinds of listener have in common. */
interface Open {
  readonly upstream: UpstreamConfig
  readonly scope: Scope.CloseableScope
  readonly stop: () => void
  readonly drain: (deadline: number) => Effect.Effect<void>
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

export const makeListeners = (
  config: NodeConfig,
  context: ListenerContext
): Effect.Effect<Listeners, ListenError, Scope.Scope> =>
  Effect.gen(function* () {
    const parent = yield* Effect.scope
    const { http } = config.outbound
    const proxy =
      http === "off" ? undefined : yield* makeHttpListener({ ...context, ...http.listen })
    const open = new Map<string, Open>()

    const openOne = (upstream: UpstreamConfig): Effect.Effect<Open, ListenError> =>
      Effect.gen(function* () {
        const scope = yield* Scope.fork(parent, parent.strategy)
        const { allowRemote, listen, service, protocol } = upstream
        const remoteNames = allowRemote ? [hostname().toLowerCase()] : undefined
        const listener: Effect.Effect<
          Pick<Open, "drain" | "stop">,
          ListenError,
          Scope.Scope
        > = protocol === "http"
          ? makeHttpListener({ ...context, ...listen, fixedService: service, remoteNames })
          : makeTcpListener({ ...context, ...listen, service })
        const { drain, stop } = yield* listener.pipe(
          Scope.extend(scope),
          Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
        )
        return { upstream, scope, drain, stop }
      })

    const close = ({ scope, drain }: Open, deadline: number): Effect.Effect<void> =>
      Effect.zipRight(drain(deadline), Scope.close(scope, Exit.void))

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
        for (const old of inTheWay) old.stop()
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
          [...(proxy === undefined ? [] : [proxy]), ...open.values()],
          (listener) => listener.drain(deadline),
          { concurrency: "unbounded", discard: true }
        )
    }
  })
