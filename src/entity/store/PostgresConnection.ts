/** The connections of a store to its server: begun when they are needed, and given up when nothing comes. */
import { Socket } from "node:net"
import type { ConnectionOptions } from "node:tls"
import type { SqlError } from "@effect/sql/SqlError"
import { PgClient } from "@effect/sql-pg"
import { Context, Duration, Effect, Layer, type Redacted, type Scope } from "effect"

/** How to reach a server: by `url`, or by the others. */
export interface PostgresConfig {
  /** `postgres://user:password@host:5432/database` */
  readonly url?: Redacted.Redacted
  readonly host?: string
  /** Default 5432. */
  readonly port?: number
  readonly database?: string
  readonly username?: string
  readonly password?: Redacted.Redacted
  /** Default: as the URL says, else without TLS. */
  readonly ssl?: boolean | ConnectionOptions
  /** At most so many at a time. Default 10. */
  readonly maxConnections?: number
}

/**
 * A server that went without a word leaves connections on which the system would wait for a quarter of an
 * hour. Nothing in so long on one that is in use means the same; one at rest is begun anew when it is needed.
 */
const closedWhenSilent = (millis: number) => (): Socket => {
  const socket = new Socket()
  socket.setTimeout(millis, () =>
    socket.destroy(new Error(`the server said nothing for ${millis} ms`))
  )
  return socket
}

/**
 * The client, made when it is first asked for and asked for anew when that failed: a program must not fail to
 * begin because its database is away.
 */
export const connecting = (
  config: PostgresConfig,
  silence: Duration.DurationInput
): Effect.Effect<Effect.Effect<PgClient.PgClient, SqlError>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const turn = yield* Effect.makeSemaphore(1)
    let made: PgClient.PgClient | undefined
    const client = PgClient.layer({
      connectTimeout: silence,
      applicationName: "skein",
      ...config,
      stream: closedWhenSilent(Duration.toMillis(silence))
    })
    const make = Effect.map(Layer.buildWithScope(client, scope), (context) =>
      Context.get(context, PgClient.PgClient)
    )
    const once = Effect.suspend(() =>
      made !== undefined
        ? Effect.succeed(made)
        : Effect.tap(make, (client) => {
            made = client
          })
    )
    return Effect.suspend(() =>
      made !== undefined ? Effect.succeed(made) : turn.withPermits(1)(once)
    )
  })
