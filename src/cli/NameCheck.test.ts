import { createServer, type Server } from "node:net"
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { serveDns } from "../dns/DnsServer.ts"
import { parseAddressRange } from "../model/AddressRange.ts"
import { ServiceName } from "../model/Names.ts"
import { MetricRegistry } from "../request/cells/Metrics.ts"
import { nameChecks, serviceToTry } from "./NameCheck.ts"

const name = (text: string) => ServiceName.make(text)
const ledger = { name: name("ledger"), protocol: "tcp" } as const
const payments = { name: name("payments"), protocol: "http" } as const

it("names are tried with a service that has a port to be called at", () => {
  expect(serviceToTry([ledger, payments])).toBe("payments")
  expect(serviceToTry([ledger, { name: name("pay"), protocol: "grpc" }])).toBe("pay")
  expect(serviceToTry([ledger])).toBeUndefined()
})

describe("a name that leads to an address", () => {
  /** What listens behind it. */
  const listening = Effect.acquireRelease(
    Effect.async<Server>((resume) => {
      const server = createServer()
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => server.close())
  )
  /** A node that says so, and listens there or not any more. */
  const checked = (listens: boolean) =>
    Effect.gen(function* () {
      const behind = yield* listening
      const bound = behind.address()
      if (bound === null || typeof bound === "string") return yield* Effect.dieMessage("no port")
      const { port } = bound
      if (!listens) behind.close()
      const range = parseAddressRange("127.80.0.0/12")
      if (typeof range === "string") return yield* Effect.dieMessage(range)
      const server = yield* serveDns({
        listen: { host: "127.0.0.1", port: 0 },
        zone: { suffix: "mesh", range, ttl: 5 },
        book: {
          find: (name) => ({ name, protocol: "http", port, endpoints: 1, healthy: 1 }),
          nameAt: () => undefined
        },
        reach: async () => "127.0.0.1",
        forward: undefined,
        metrics: new MetricRegistry(),
        warn: () => {}
      })
      const names = {
        ...{ address: `127.0.0.1:${server.port}`, suffix: "mesh", forwards: false, listening: 1 }
      }
      const [check] = yield* nameChecks({ names }, [payments])
      return check
    })

  it.scoped("fails where nothing listens", () =>
    Effect.map(checked(false), (check) => {
      expect(check).toMatchObject({ state: "fail", name: "names" })
      expect(check?.detail).toMatch(
        /payments\.mesh is 127\.0\.0\.1, where port \d+ takes no connection/
      )
    })
  )

  it.scoped("is well there, but for programs that do not ask the node", () =>
    Effect.map(checked(true), (check) => {
      expect(check).toMatchObject({ state: "warn" })
      expect(check?.detail).toContain("payments.mesh is 127.0.0.1, but programs of this host")
    })
  )
})
