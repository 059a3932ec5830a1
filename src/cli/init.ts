/** `skein init`: a new mesh and its first node. */
import { resolve } from "node:path"
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import { Clock, Console, Effect, Option } from "effect"
import { hostNodeName } from "../config/NodeConfig.ts"
import { NodeName } from "../schema/NamesSchema.ts"
import { wrongUsage } from "./CommandFailed.ts"
import { environment, readAs } from "./NodeAddress.ts"

const initOptions = {
  dataDir: Options.directory("data-dir").pipe(
    Options.withDescription("Where keys and certificate go (default: SKEIN_DATA_DIR)"),
    Options.optional
  ),
  mesh: Options.text("mesh").pipe(
    Options.withPseudoName("name"),
    Options.withDefault("skein"),
    Options.withDescription("What people call the mesh (default: skein)")
  ),
  name: Options.text("name").pipe(
    Options.withPseudoName("node"),
    Options.mapEffect(readAs(NodeName, "--name")),
    Options.withDescription("What people call this node (default: the host's name)"),
    Options.optional
  )
}

export const init = Command.make("init", initOptions, (choice) =>
  Effect.gen(function* () {
    const { dataDir } = yield* environment
    const directory = Option.orElse(choice.dataDir, () => dataDir)
    if (Option.isNone(directory)) {
      return yield* wrongUsage(
        "say where the node's keys shall go: --data-dir DIR, or SKEIN_DATA_DIR"
      )
    }
    const { initMesh } = yield* Effect.promise(() => import("../mesh/keys/DataDir.ts"))
    const identity = yield* initMesh({
      dataDir: directory.value,
      meshName: choice.mesh,
      nodeName: Option.getOrElse(choice.name, hostNodeName),
      now: yield* Clock.currentTimeMillis
    })
    yield* Console.error(
      [
        `new mesh ${identity.meshName} (${identity.mesh})`,
        `  node  ${identity.name}, peer ${identity.peer}`,
        `  keys  ${directory.value} (root.key signs for the whole mesh: keep a copy in a safe place)`,
        `  next  write skein.yaml, which may say no more than   node: { name: ${identity.name}, dataDir: ${JSON.stringify(resolve(directory.value))} }`,
        `        skein up --config skein.yaml`
      ].join("\n")
    )
  })
).pipe(Command.withDescription("Make a new mesh and its first node's identity"))
