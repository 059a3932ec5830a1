import { describe, expect, it } from "vitest"
import { isReserved, type Sender } from "./Sender.ts"

describe("names of the mesh", () => {
  it.each<[string, ReadonlyArray<Sender>]>([
    // Who calls is said by the node at the other end alone.
    ["skein-caller", ["client", "program", "node"]],
    ["Skein-Caller", ["client", "program", "node"]],
    ["skein_caller", ["client", "node"]],
    ["SKEIN_CALLER", ["client", "node"]],
    ["skein-error", ["client", "program"]],
    ["skein_error", ["client"]],
    ["skein-node", ["client", "program"]],
    // A client may say these of its calls, in this spelling; another node's client has said them.
    ["skein-deadline", ["program", "node"]],
    ["skein-attempt", ["program", "node"]],
    ["skein_deadline", ["client", "node"]],
    ["skein-other", ["program"]],
    ["skein-callers", ["program"]],
    ["skeins", []],
    ["x-caller", []]
  ])("%s is taken out of what is sent by %j", (name, senders) => {
    const all: ReadonlyArray<Sender> = ["client", "program", "node"]
    expect(all.filter((sender) => isReserved(name, sender))).toEqual(senders)
  })
})
