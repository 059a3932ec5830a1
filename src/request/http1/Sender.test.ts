import { describe, expect, it } from "vitest"
import { isDisguised, isReserved, type Sender } from "./Sender.ts"

describe("names of the mesh", () => {
  it.each<[string, ReadonlyArray<Sender>]>([
    // Who calls is said by the node at the other end alone.
    ["skein-caller", ["client", "program", "node"]],
    ["Skein-Caller", ["client", "program", "node"]],
    ["skein_caller", ["client", "program", "node"]],
    ["SKEIN_CALLER", ["client", "program", "node"]],
    // PHP and lighttpd make HTTP_SKEIN_CALLER of these, too.
    ["skein.caller", ["client", "program", "node"]],
    ["Skein~Caller", ["client", "program", "node"]],
    ["skein-error", ["client", "program"]],
    ["skein_error", ["client", "program"]],
    ["skein-node", ["client", "program"]],
    // A client may say these of its calls, in this spelling; another node's client has said them.
    ["skein-deadline", ["program", "node"]],
    ["skein-attempt", ["program", "node"]],
    ["skein_deadline", ["client", "program", "node"]],
    ["skein.attempt", ["client", "program", "node"]],
    ["skein-other", ["program"]],
    ["skein-callers", ["program"]],
    ["skein", []],
    ["skeins", []],
    ["skeincaller", []],
    ["skein2-caller", []],
    ["_skein-caller", []],
    ["x-caller", []]
  ])("%s is taken out of what is sent by %j", (name, senders) => {
    const all: ReadonlyArray<Sender> = ["client", "program", "node"]
    expect(all.filter((sender) => isReserved(name, sender))).toEqual(senders)
  })
})

describe("names that a node answers for", () => {
  it.each([
    ["X_Forwarded_For", true],
    ["x.forwarded-for", true],
    ["X-Forwarded~Proto", true],
    ["content_length", true],
    ["Transfer.Encoding", true],
    ["X-Forwarded-For", false],
    ["accept_encoding", false],
    ["x_forwarded_fox", false]
  ])("%s in disguise: %s", (name, disguised) => {
    expect(isDisguised(name, "client")).toBe(disguised)
    expect(isDisguised(name, "program")).toBe(false)
  })
})
