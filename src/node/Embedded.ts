/**
 * What a node inside a program is, where the program says nothing: one beside others. The host may
 * run a node of its own, and further programs theirs, so it takes no fixed port and not the host's
 * name, and opens no port but the one that makes it a member.
 */
import { Effect, Option, Random } from "effect"
import { ConfigError } from "../config/ConfigProblem.ts"
import {
  hostNodeName,
  makeNodeConfig,
  type NodeConfig,
  type NodeConfigInput
} from "../config/NodeConfig.ts"
import { hasIdentity, loadIdentity } from "../mesh/keys/DataDir.ts"
import { NodeName } from "../model/Names.ts"
import type { NodeInput, RunningNode } from "./RunningNode.ts"
import { StartError } from "./StartError.ts"

/**
 * A port that is free, on all interfaces: nodes of other hosts watch and call this one. They are
 * told which it became; a stranger gets no further than Noise.
 */
const anyPort = ["/ip4/0.0.0.0/tcp/0"]

/** Throws a `ConfigError`. */
export const embeddedConfig = ({ node, admin, outbound, ...rest }: NodeConfigInput): NodeConfig =>
  makeNodeConfig({
    ...rest,
    node: { ...node, listen: node?.listen ?? anyPort },
    admin: admin ?? "off",
    outbound: { ...outbound, http: outbound?.http ?? "off" }
  })

/** Of the host's name: with the hyphen and the digits a name has at most 128 characters. */
const mostOfHost = 121

/** The host's own node has the host's name: it is most likely a member already. */
const nameBeside: Effect.Effect<NodeName> = Effect.map(
  Random.nextIntBetween(0, 0x100_0000),
  (random) => {
    const digits = random.toString(16).padStart(6, "0")
    return NodeName.make(`${hostNodeName().slice(0, mostOfHost)}-${digits}`)
  }
)

const invalidConfig = (cause: unknown): StartError => {
  if (!(cause instanceof ConfigError)) throw cause
  return new StartError({ code: "invalid_config", message: cause.message, cause })
}

/** For a program, what `skein init` and `skein join` are to a host. */
const noIdentity = (dataDir: string): StartError =>
  new StartError({
    code: "no_identity",
    message: `no node identity in ${dataDir}, and no token to get one with: give what \`skein invite\` prints as SkeinNode.layer(config, { join: token }); it is needed once`,
    cause: undefined
  })

/** What the node is started from. One that has an identity has a name, too. */
export const embeddedInput = (
  input: NodeConfigInput,
  join: string | undefined
): Effect.Effect<NodeInput, StartError> =>
  Effect.gen(function* () {
    const config = yield* Effect.try({ try: () => embeddedConfig(input), catch: invalidConfig })
    const { dataDir } = config.node
    const known = yield* Effect.mapError(hasIdentity(dataDir), StartError.from)
    if (!known && join === undefined) return yield* noIdentity(dataDir)
    if (input.node?.name !== undefined) return { config, join }
    const name = known
      ? (yield* Effect.mapError(loadIdentity(dataDir), StartError.from)).name
      : yield* nameBeside
    return { config: { ...config, node: { ...config.node, name } }, join }
  })

/** A program's start waits no longer for its mesh. */
const meetPatience = "10 seconds"

/** Before, a program's first call would not find the service it names. */
export const untilMet = ({
  name,
  ready
}: Pick<RunningNode, "name" | "ready">): Effect.Effect<void> =>
  ready.pipe(
    Effect.timeoutOption(meetPatience),
    Effect.flatMap((met) =>
      Option.isSome(met)
        ? Effect.void
        : Effect.logWarning(
            `${name} has met no other node of its mesh within ${meetPatience}; the program goes on, and what it calls may not be known yet. Is the node that invited it up and reachable?`
          )
    )
  )
