/**
 * The local ports of a node: the proxy, and one for each upstream. Upstreams follow the config
 * while the node runs; a port that cannot be had leaves everything as it was.
 */
import { Effect, Exit, Scope } from "effect"
import { formatHostPort } from "../config/HostPort.ts"
import type { NodeConfig, UpstreamConfig } from "../config/NodeConfig.ts"
import { type HttpListenerOptions, makeHttpListener } from "../listener/HttpListener.ts"
import type { ListenError } from "../listener/ListenError.ts"
import { makeTcpListener } from "../listener/TcpListener.ts"

export type ListenerContext = Pick<HttpListenerOptions, "dispatch" | "self" | "ticker" | "metrics">

/** What both kinds of listener have in common. */
interface Open {
  readonly upstream: UpstreamConfig
  readonly scope: Scope.CloseableScope
  readonly drain: (deadline: number) => Effect.Effect<void>
}

export interface Listeners {
  /** `host:port` of the proxy; undefined when it is off. */
  readonly proxy: string | undefined
  /** Opens what is new and drains what is gone, with `deadline` in ms for the latter. */
  readonly follow: (
    upstreams: ReadonlyArray<UpstreamConfig>,
    deadline: number
  ) => Effect.Effect<void, ListenError>
  /** Takes nothing new and waits for what runs, at most `deadline` ms. */
  readonly drain: (deadline: number) => Effect.Effect<void>
}

const keyOf = ({ listen, service, protocol }: UpstreamConfig): string =>
  `${formatHostPort(listen)} ${service} ${protocol}`

export const makeListeners = (
  config: NodeConfig,
  context: ListenerContext
): Effect.Effect<Listeners, ListenError, Scope.Scope> =>
  Effect.gen(function* () {
    const parent = yield* Effect.scope
    const { http } = config.outbound
    const proxy = http === "off" ? undefined : yield* makeHttpListener({ ...context, ...http })
    const open = new Map<string, Open>()

    const openOne = (upstream: UpstreamConfig): Effect.Effect<Open, ListenError> =>
      Effect.gen(function* () {
        const scope = yield* Scope.fork(parent, parent.strategy)
        const { listen, service, protocol } = upstream
        const listener: Effect.Effect<Pick<Open, "drain">, ListenError, Scope.Scope> = protocol ===
        "http"
          ? makeHttpListener({ ...context, ...listen, fixedService: service })
          : makeTcpListener({ ...context, ...listen, service })
        const { drain } = yield* listener.pipe(
          Scope.extend(scope),
          Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
        )
        return { upstream, scope, drain }
      })

    const close = ({ scope, drain }: Open, deadline: number): Effect.Effect<void> =>
      Effect.zipRight(drain(deadline), Scope.close(scope, Exit.void))

    const follow: Listeners["follow"] = (upstreams, deadline) =>
      Effect.gen(function* () {
        const wanted = new Map(upstreams.map((upstream) => [keyOf(upstream), upstream]))
        const gone = Array.from(open).filter(([key]) => !wanted.has(key))
        const taken = new Set(
          upstreams
            .filter((one) => !open.has(keyOf(one)))
            .map(({ listen }) => formatHostPort(listen))
        )
        // A port that changes hands must be free before it can be taken again.
        const [first, later] = [
          gone.filter(([, { upstream }]) => taken.has(formatHostPort(upstream.listen))),
          gone.filter(([, { upstream }]) => !taken.has(formatHostPort(upstream.listen)))
        ]
        const fresh: Array<readonly [string, Open]> = []
        yield* Effect.forEach(
          Array.from(wanted).filter(
            ([key, { listen }]) =>
              !open.has(key) &&
              !first.some(
                ([, old]) => formatHostPort(old.upstream.listen) === formatHostPort(listen)
              )
          ),
          ([key, upstream]) => Effect.map(openOne(upstream), (it) => fresh.push([key, it])),
          { discard: true }
        ).pipe(
          Effect.onError(() => Effect.forEach(fresh, ([, it]) => close(it, 0), { discard: true }))
        )
        for (const [key, it] of fresh) open.set(key, it)
        for (const [key, old] of first) {
          open.delete(key)
          yield* Effect.forkIn(close(old, deadline), parent)
          const next = upstreams.find(
            ({ listen }) => formatHostPort(listen) === formatHostPort(old.upstream.listen)
          )
          if (next !== undefined) open.set(keyOf(next), yield* openOne(next))
        }
        for (const [key, old] of later) {
          open.delete(key)
          yield* Effect.forkIn(close(old, deadline), parent)
        }
      })

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
