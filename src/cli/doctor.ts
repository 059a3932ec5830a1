/** `skein doctor`: is everything as it should be, and what to do where it is not. */
import * as Command from "@effect/cli/Command"
import { Effect, Either, Option } from "effect"
import { withAdmin } from "../admin/AdminClient.ts"
import { lockHolder } from "../mesh/keys/DataDirLock.ts"
import { type CheckGroup, fail, failures, renderChecks } from "./Check.ts"
import { chosenNode } from "./ChosenNode.ts"
import { CommandFailed } from "./CommandFailed.ts"
import {
  configCheck,
  dataDirCheck,
  exposureChecks,
  portChecks,
  runtimeCheck
} from "./HostChecks.ts"
import { meshChecks } from "./MeshChecks.ts"
import { nameChecks } from "./NameCheck.ts"
import { defaultAdmin, environment, type NodeChoice, nodeOptions } from "./NodeAddress.ts"
import { nodeChecks, telemetryChecks } from "./NodeChecks.ts"
import { policyChecks, serviceChecks } from "./ServiceChecks.ts"
import { outputOption, print, useColour } from "./View.ts"

/** An unusable config is a finding, not the end of the examination. */
const addressOf = (choice: NodeChoice) =>
  Effect.catchTag(chosenNode(choice), "ConfigError", () => Effect.succeed(defaultAdmin))

const examine = (choice: NodeChoice) =>
  Effect.gen(function* () {
    const address = yield* addressOf(choice)
    const report = yield* Effect.either(
      withAdmin(address, (client) =>
        Effect.all({
          status: client.views.status({}),
          members: client.views.members({}),
          services: client.views.services({})
        })
      )
    )
    const settings = yield* environment
    const running = Either.getOrUndefined(report)
    const path =
      Option.getOrUndefined(Option.orElse(choice.config, () => settings.config)) ??
      running?.status.configPath ??
      undefined
    const found = path === undefined ? undefined : yield* configCheck(path)
    const dataDir = running?.status.dataDir ?? found?.config?.node.dataDir
    const holder = dataDir === undefined ? undefined : yield* lockHolder(dataDir)
    const host: CheckGroup = {
      name: "this host",
      checks: [
        runtimeCheck(process.versions),
        ...(found === undefined ? [] : [found.check]),
        ...(found?.config === undefined ? [] : exposureChecks(found.config)),
        ...(dataDir === undefined ? [] : [yield* dataDirCheck(dataDir, running !== undefined)]),
        ...(found?.config !== undefined && running === undefined
          ? yield* portChecks(found.config, holder)
          : [])
      ]
    }
    if (Either.isLeft(report)) {
      const { message } = report.left
      const hint = "hint" in report.left ? report.left.hint : "Its log says why."
      return [host, { name: "this node", checks: [fail("live", message, hint)] }]
    }
    const { status, members, services } = report.right
    return [
      host,
      {
        name: "this node",
        checks: [...nodeChecks(status), ...(yield* nameChecks(status, services))]
      },
      { name: "the mesh", checks: meshChecks(status, members) },
      {
        name: "services",
        checks: [
          ...serviceChecks(services),
          ...(found?.config === undefined ? [] : policyChecks(found.config, services))
        ]
      },
      { name: "telemetry", checks: telemetryChecks(status) }
    ]
  })

export const doctor = Command.make("doctor", { ...nodeOptions, output: outputOption }, (choice) =>
  Effect.gen(function* () {
    const groups: ReadonlyArray<CheckGroup> = yield* examine(choice)
    const count = failures(groups)
    yield* print(
      choice.output === "json"
        ? `${JSON.stringify({ ok: count === 0, groups }, undefined, 2)}\n`
        : renderChecks(groups, useColour())
    )
    if (count > 0) {
      return yield* new CommandFailed({ message: `${count} checks failed`, silent: true })
    }
  })
).pipe(Command.withDescription("Check this host, the node, the mesh; a hint for everything wrong"))
