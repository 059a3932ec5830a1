/** Do names of services lead somewhere: from the node itself, and from the programs of this host? */
import { lookup, Resolver } from "node:dns/promises"
import { connect } from "node:net"
import { Effect } from "effect"
import type { NodeStatus } from "../admin/NodeModel.ts"
import type { ServiceStatus } from "../admin/ServiceModel.ts"
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

/** Where the node says that a service is called. */
interface Place {
  readonly address: string
  readonly port: number
}

/** What the node itself says to a question for a name. */
export const toldByNode = (address: string, host: string): Effect.Effect<Place | Error> =>
  Effect.promise(async () => {
    const { host: server, port } = nameServerOf(address)
    const resolver = new Resolver({ timeout: patience, tries: 1 })
    resolver.setServers([server.includes(":") ? `[${server}]:${port}` : `${server}:${port}`])
    try {
      const [found = ""] = await resolver.resolve4(host)
      const [service] = await resolver.resolveSrv(host)
      if (service === undefined) return new Error("it has no port")
      return { address: found, port: service.port }
    } catch (cause) {
      return new Error(reasonOf(cause))
    }
  })

/** Whether somebody listens there, as the node does behind each name; else why not. */
const answers = ({ address, port }: Place): Effect.Effect<Error | undefined> =>
  Effect.async((resume) => {
    const socket = connect({ host: address, port })
    const end = (error: Error | undefined): void => {
      socket.destroy()
      resume(Effect.succeed(error))
    }
    socket.setTimeout(patience, () => end(new Error(`nobody answers within ${patience} ms`)))
    socket.once("connect", () => end(undefined))
    socket.once("error", (cause) => end(new Error(reasonOf(cause))))
  })

/** One whose name leads somewhere if any does: a TCP service may have no port to be called at by it. */
export const serviceToTry = (
  services: ReadonlyArray<Pick<ServiceStatus, "name" | "protocol">>
): ServiceName | undefined => services.find(({ protocol }) => protocol !== "tcp")?.name

export const nameChecks = (
  { names }: Pick<NodeStatus, "names">,
  services: ReadonlyArray<Pick<ServiceStatus, "name" | "protocol">>
): Effect.Effect<ReadonlyArray<Check>> =>
  Effect.gen(function* () {
    const service = serviceToTry(services)
    if (names === null || service === undefined) return []
    const host = `${service}.${names.suffix}`
    const answer = yield* toldByNode(names.address, host)
    if (answer instanceof Error) {
      return [
        fail(
          "names",
          `${names.address} has no address for ${host}: ${answer.message}`,
          "The node's log says why it cannot listen there; ports below 1024 need CAP_NET_BIND_SERVICE, or net.ipv4.ip_unprivileged_port_start lowered."
        )
      ]
    }
    const { address, port } = answer
    const refusal = yield* answers(answer)
    if (refusal !== undefined) {
      return [
        fail(
          "names",
          `${host} is ${address}, where port ${port} takes no connection: ${refusal.message}`,
          "A rule of the firewall may be in the way of loopback, or the node's log says more; skein services shows whether the service is there."
        )
      ]
    }
    const found = yield* lookedUp(host)
    return [
      found === address
        ? ok(
            "names",
            `${host} is ${address} for the programs of this host, and port ${port} answers`
          )
        : warn(
            "names",
            found instanceof Error
              ? `${host} is ${address}, but programs of this host do not find it: ${found.message}`
              : `${host} is ${address}, but programs of this host are told ${found}`,
            "skein dns install has the system's resolver ask the node."
          )
    ]
  })
