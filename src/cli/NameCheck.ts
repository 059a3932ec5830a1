/** Do names of services lead somewhere: from the node itself, and from the programs of this host? */
import { lookup, Resolver } from "node:dns/promises"
import { Effect } from "effect"
import type { NodeStatus, ServiceStatus } from "../admin/AdminModel.ts"
import type { ServiceName } from "../model/Names.ts"
import { reasonOf } from "../model/Reason.ts"
import { type Check, fail, ok, warn } from "./Check.ts"
import { nameServerOf } from "./NameServer.ts"

const patience = 2_000

/** What the system's own way of looking names up says. */
export const lookedUp = (host: string): Effect.Effect<string | Error> =>
  Effect.promise(() =>
    lookup(host, { family: 4 }).then(
      ({ address }) => address,
      (cause: unknown) => new Error(reasonOf(cause))
    )
  )

const asked = (address: string, host: string): Effect.Effect<string | Error> =>
  Effect.promise(async () => {
    const { host: server, port } = nameServerOf(address)
    const resolver = new Resolver({ timeout: patience, tries: 1 })
    resolver.setServers([server.includes(":") ? `[${server}]:${port}` : `${server}:${port}`])
    try {
      const [found = ""] = await resolver.resolve4(host)
      return found
    } catch (cause) {
      return new Error(reasonOf(cause))
    }
  })

/** One whose name leads somewhere if any does: a TCP service may have no port to be called at by it. */
export const serviceToTry = (
  services: ReadonlyArray<Pick<ServiceStatus, "name" | "protocol">>
): ServiceName | undefined => services.find(({ protocol }) => protocol !== "tcp")?.name

export const nameChecks = (
  { names }: NodeStatus,
  services: ReadonlyArray<Pick<ServiceStatus, "name" | "protocol">>
): Effect.Effect<ReadonlyArray<Check>> =>
  Effect.gen(function* () {
    const service = serviceToTry(services)
    if (names === null || service === undefined) return []
    const host = `${service}.${names.suffix}`
    const answer = yield* asked(names.address, host)
    if (answer instanceof Error) {
      return [
        fail(
          "names",
          `${names.address} has no address for ${host}: ${answer.message}`,
          "The node's log says why it cannot listen there; ports below 1024 need CAP_NET_BIND_SERVICE, or net.ipv4.ip_unprivileged_port_start lowered."
        )
      ]
    }
    const found = yield* lookedUp(host)
    return [
      found === answer
        ? ok("names", `${host} is ${answer} for the programs of this host`)
        : warn(
            "names",
            found instanceof Error
              ? `${host} is ${answer}, but programs of this host do not find it: ${found.message}`
              : `${host} is ${answer}, but programs of this host are told ${found}`,
            "skein dns install has the system's resolver ask the node."
          )
    ]
  })
