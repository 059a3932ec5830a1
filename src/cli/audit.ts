/** `skein audit`: what the node's audit log says, and what comes. Read from the file: it outlives the node. */
import { open, stat } from "node:fs/promises"
import { join } from "node:path"
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import { Effect, Option, Schedule } from "effect"
import { withAdmin } from "../admin/AdminClient.ts"
import { loadConfig } from "../config/ConfigFile.ts"
import { fileReasonOf } from "../model/Reason.ts"
import { readAuditRows, renderAudit } from "./AuditRows.ts"
import { chosenNode } from "./ChosenNode.ts"
import { doneWhenInterrupted, failCommand } from "./CommandFailed.ts"
import { environment, type NodeChoice, nodeOptions } from "./NodeAddress.ts"
import { outputOption, print, useColour } from "./View.ts"

const options = {
  ...nodeOptions,
  file: Options.text("file").pipe(
    Options.withPseudoName("path"),
    Options.withDescription("This file instead of the node's"),
    Options.optional
  ),
  lines: Options.integer("lines").pipe(
    Options.withAlias("n"),
    Options.withDefault(50),
    Options.withDescription("So many of the last lines (default: 50)")
  ),
  follow: Options.boolean("follow").pipe(
    Options.withAlias("f"),
    Options.withDescription("And then each line as it comes, until Ctrl-C")
  ),
  output: outputOption
}

/** Bytes at the end of the file that are looked at for the last lines. */
const maxTail = 4 * 1024 * 1024
const lookEvery = "500 millis"

const codeOf = (cause: unknown): string =>
  cause instanceof Error && "code" in cause ? String(cause.code) : String(cause)

/** The file of the config, of the data directory, or of the node that is asked. */
const auditFile = (choice: NodeChoice) =>
  Effect.gen(function* () {
    const { config, dataDir } = yield* environment
    const file = Option.orElse(choice.config, () => config)
    if (Option.isNone(choice.admin) && Option.isNone(choice.dataDir) && Option.isSome(file)) {
      const { audit, node } = yield* loadConfig(file.value)
      if (audit === "off") return yield* failCommand(`${file.value} has audit: off`)
      if (audit.file === "off") {
        const where = audit.otlp ?? "a collector"
        return yield* failCommand(`${file.value} keeps no file (audit.file: off): see ${where}`)
      }
      return (
        audit.file ??
        join(
          Option.getOrElse(dataDir, () => node.dataDir),
          "audit.log"
        )
      )
    }
    const named = Option.isSome(choice.admin)
      ? Option.none()
      : Option.orElse(choice.dataDir, () => dataDir)
    if (Option.isSome(named)) return join(named.value, "audit.log")
    const address = yield* chosenNode(choice)
    const { auditFile } = yield* withAdmin(address, (client) => client.views.status({}))
    return (
      auditFile ??
      (yield* failCommand(
        "that node keeps no audit log here (audit: off, or file: off), or is too old to"
      ))
    )
  })

interface Place {
  readonly inode: number
  readonly at: number
}

/** What is in the file from `place` on, whole lines only; from its beginning when it is another one. */
const readFrom = (path: string, place: Place | undefined) =>
  Effect.tryPromise({
    try: async () => {
      const { ino, size } = await stat(path)
      const begun = place?.inode === ino && place.at <= size ? place.at : 0
      const from = place === undefined ? Math.max(0, size - maxTail) : begun
      const file = await open(path, "r")
      try {
        const bytes = Buffer.alloc(Math.min(size - from, maxTail))
        const { bytesRead } = await file.read(bytes, 0, bytes.length, from)
        const end = bytes.subarray(0, bytesRead).lastIndexOf(10) + 1
        const text = bytes.subarray(0, end).toString("utf8")
        return { text, place: { inode: ino, at: from + end } satisfies Place }
      } finally {
        await file.close()
      }
    },
    catch: (cause) => cause
  })

const unreadable = (path: string) => (cause: unknown) =>
  failCommand(`the audit log ${path} cannot be read: ${fileReasonOf(cause)}`)

export const audit = Command.make("audit", options, (choice) =>
  Effect.gen(function* () {
    const path = Option.getOrUndefined(choice.file) ?? (yield* auditFile(choice))
    const show = (text: string) =>
      print(choice.output === "json" ? text : renderAudit(readAuditRows(text), useColour()))
    const first = yield* Effect.mapError(readFrom(path, undefined), unreadable(path))
    const lines = first.text.split("\n").filter((line) => line !== "")
    const last = lines.slice(Math.max(0, lines.length - choice.lines))
    if (last.length > 0) yield* show(`${last.join("\n")}\n`)
    if (!choice.follow) return
    let place = first.place
    yield* readFrom(path, place).pipe(
      Effect.flatMap((read) => {
        place = read.place
        return read.text === "" ? Effect.void : show(read.text)
      }),
      // Moved aside just now, or its directory is being made again; all else would not end by itself.
      Effect.catchIf(
        (cause) => codeOf(cause) === "ENOENT",
        () => Effect.void
      ),
      Effect.mapError(unreadable(path)),
      Effect.repeat(Schedule.spaced(lookEvery))
    )
  }).pipe(choice.follow ? doneWhenInterrupted : (self) => self)
).pipe(Command.withDescription("Who came in, was refused or denied, and who changed what"))
