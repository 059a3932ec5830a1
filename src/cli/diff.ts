/** `skein diff -f FILE…|DIR`: how what holds in the mesh differs from what stands in files. */
import * as Command from "@effect/cli/Command"
import { Console, Effect } from "effect"
import { withAdmin } from "../admin/AdminClient.ts"
import { chosenDocuments, fileOptions } from "./apply.ts"
import { chosenNode } from "./ChosenNode.ts"
import { nodeOptions } from "./NodeAddress.ts"
import { outlook } from "./SettingChanges.ts"
import { byWhom, renderDiff } from "./SettingText.ts"
import { print, useColour } from "./View.ts"

export const diff = Command.make("diff", { ...nodeOptions, ...fileOptions }, (choice) =>
  Effect.gen(function* () {
    const documents = yield* chosenDocuments(choice)
    const address = yield* chosenNode(choice)
    const current = yield* withAdmin(address, (client) => client.settings.list({ urlParams: {} }))
    const different = documents.filter((one) => outlook(current, one).outlook !== "nothing")
    const text = different.map((document) => {
      const { before } = outlook(current, document)
      const held = before === undefined ? "nothing" : `version ${before.id}, by ${byWhom(before)}`
      const head = [
        `--- ${document.kind} ${document.name}: ${held}`,
        `+++ ${document.kind} ${document.name}: ${document.source}`
      ]
      const lines = renderDiff(before?.body ?? null, document.body, useColour())
      return [...head, ...lines].map((line) => `${line}\n`).join("")
    })
    yield* print(text.join(""))
    if (different.length === 0) yield* Console.error("what holds in the mesh is what stands there")
  })
).pipe(Command.withDescription("How what holds in the mesh differs from what stands in files"))
