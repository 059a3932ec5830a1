/**
 * The node that a command asks, and how it is told to change something. Where nobody said which one,
 * it is looked for at the usual places of this host; who is found at more than one of them must be
 * chosen before anything is changed.
 */
import * as Options from "@effect/cli/Options"
import { Config, Console, Effect, Option } from "effect"
import { type AdminTarget, withAdmin } from "../admin/AdminClient.ts"
import { readAdminToken } from "../admin/AdminToken.ts"
import { controlSocket } from "../admin/ControlPlace.ts"
import type { NodeStatus } from "../admin/NodeModel.ts"
import type { ConfigError } from "../config/ConfigProblem.ts"
import { type AdminAddress, formatAdminAddress } from "../config/HostPort.ts"
import { type CommandFailed, failCommand, wrongUsage } from "./CommandFailed.ts"
import { defaultAdmin, mayOpen, type NodeChoice, namedNode, nodeOptions } from "./NodeAddress.ts"

/** Of commands that change something. */
export const controlOptions = {
  ...nodeOptions,
  adminToken: Options.text("admin-token").pipe(
    Options.withPseudoName("file"),
    Options.withDescription(
      "A copy of the node's admin.token, where its unix socket cannot be reached (also: SKEIN_ADMIN_TOKEN_FILE)"
    ),
    Options.optional
  )
}

export interface ControlChoice extends NodeChoice {
  readonly adminToken: Option.Option<string>
}

/** Data directories that a node on this host may have: from its config beside us, or as a service. */
const usualDirectories = ["./data", "/var/lib/skein"]

const lookPatience = "2 seconds"

interface Found {
  readonly address: AdminAddress
  readonly status: NodeStatus
}

const look = (address: AdminAddress): Effect.Effect<ReadonlyArray<Found>> =>
  withAdmin(address, (client) => client.views.status({}), lookPatience).pipe(
    Effect.map((status) => [{ address, status }]),
    Effect.catchAll(() => Effect.succeed([]))
  )

/** Where a node is looked for when nobody said which. Sockets that are not there are not asked. */
export const usualPlaces = (): ReadonlyArray<AdminAddress> => {
  const sockets = usualDirectories
    .map((directory) => controlSocket(directory))
    .filter((path) => mayOpen(path) === "yes")
  return [...sockets.map((path) => ({ path })), defaultAdmin]
}

/** Nodes at these places, each once. */
const findNodes = (places: ReadonlyArray<AdminAddress>): Effect.Effect<ReadonlyArray<Found>> =>
  Effect.gen(function* () {
    const found = (yield* Effect.forEach(places, look, { concurrency: "unbounded" })).flat()
    return found.filter(
      ({ status: { peer } }, index) =>
        found.findIndex(({ status }) => status.peer === peer) === index
    )
  })

const describe = ({ status: { node, dataDir } }: Found): string =>
  `${node} (data directory ${dataDir})`

/** To be asked, and not more. */
export const chosenNode = (
  choice: NodeChoice,
  places = usualPlaces()
): Effect.Effect<AdminAddress, CommandFailed | ConfigError> =>
  Effect.gen(function* () {
    const named = yield* namedNode(choice)
    if (Option.isSome(named)) return named.value
    const [first, ...others] = yield* findNodes(places)
    if (first === undefined) return defaultAdmin
    if (others.length > 0) {
      const rest = others.map(describe).join(", ")
      yield* Console.error(
        `this is ${describe(first)}; there is also ${rest}: say --data-dir or --config`
      )
    }
    return first.address
  })

/** To be told something: the node that was named, or the only one there is, by name. */
export const controlledNode = (
  choice: NodeChoice,
  places = usualPlaces()
): Effect.Effect<AdminAddress, CommandFailed | ConfigError> =>
  Effect.gen(function* () {
    const named = yield* namedNode(choice)
    if (Option.isSome(named)) return named.value
    const found = yield* findNodes(places)
    const [first, ...others] = found
    if (first === undefined) return defaultAdmin
    if (others.length > 0) {
      return yield* wrongUsage(
        `there is more than one node on this host: ${found.map(describe).join(", ")}; say which with --data-dir, --config or --admin`
      )
    }
    yield* Console.error(`to ${describe(first)}`)
    return first.address
  })

const tokenFile = (choice: ControlChoice) =>
  Effect.map(Effect.orDie(Config.option(Config.nonEmptyString("SKEIN_ADMIN_TOKEN_FILE"))), (said) =>
    Option.orElse(choice.adminToken, () => said)
  )

/**
 * Where a change is to go. A port takes none, but tells of the node's socket, which this user may open
 * or not. A node from before that takes them at its port.
 */
export const chosenControl = (choice: ControlChoice) =>
  Effect.gen(function* () {
    const address = yield* controlledNode(choice)
    const file = yield* tokenFile(choice)
    if (Option.isSome(file)) {
      const token = yield* Effect.mapError(readAdminToken(file.value), ({ message }) =>
        failCommand(message)
      )
      return { ...address, token } satisfies AdminTarget
    }
    if ("path" in address) return address
    const { control, dataDir, node } = yield* withAdmin(address, (client) =>
      client.views.status({})
    )
    if (control === undefined) return address
    const where = formatAdminAddress(address)
    const otherwise = `Or give its token: --admin-token FILE, with a copy of admin.token from its data directory (${dataDir}).`
    if (control === null) {
      return yield* failCommand(
        `${node} at ${where} has no control socket for now; its log says why\n  ${otherwise}`
      )
    }
    const may = mayOpen(control)
    if (may === "yes") return { path: control }
    return yield* failCommand(
      may === "missing"
        ? `${node} at ${where} takes changes at the socket ${control}, which is not here\n  It runs in a container or on another host: run this command there. ${otherwise}`
        : `${node} at ${where} takes changes at the socket ${control}, which this user may not open\n  Run this command as the user the node runs as. ${otherwise}`
    )
  })
