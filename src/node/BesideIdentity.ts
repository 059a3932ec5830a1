/** Who a program's node is, where the program has not said: one beside the host's own. */
import { Effect, Random } from "effect"
import { hostNodeName } from "../config/NodeConfig.ts"
import { hasIdentity, loadIdentity } from "../mesh/keys/DataDir.ts"
import { NodeName } from "../model/Names.ts"
import type { MeshStart } from "./NodeMessages.ts"
import type { NodeInput } from "./RunningNode.ts"
import { StartError } from "./StartError.ts"

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

/** For a program, what `skein init` and `skein join` are to a host. */
const noIdentity = (dataDir: string): StartError =>
  new StartError({
    code: "no_identity",
    message: `no node identity in ${dataDir}, and no token to get one with: give what \`skein invite\` prints as SkeinNode.layer(config, { join: token }); it is needed once`,
    cause: undefined
  })

/** What the node is started from. One that has an identity has a name, too. */
export const besideInput = (
  start: Pick<MeshStart, "beside" | "config" | "configPath" | "descriptors" | "join" | "overrides">
): Effect.Effect<NodeInput, StartError> =>
  Effect.gen(function* () {
    const { config, configPath, descriptors, overrides, beside } = start
    // A variable that is set to nothing is what many a unit file makes of one that is not set.
    const join = start.join?.trim() === "" ? undefined : start.join
    const input: NodeInput = { config, configPath, descriptors, join, overrides }
    if (beside === undefined) return input
    const { dataDir } = config.node
    const known = yield* Effect.mapError(hasIdentity(dataDir), StartError.from)
    if (!known && join === undefined) return yield* noIdentity(dataDir)
    if (beside === "named") return input
    const name = known
      ? (yield* Effect.mapError(loadIdentity(dataDir), StartError.from)).name
      : yield* nameBeside
    return { ...input, config: { ...config, node: { ...config.node, name } } }
  })
