import { describe, expect, test } from "vitest"
import { sightingIn } from "./SerfNodes.ts"
import { sightingOf } from "./SkeinNodes.ts"

describe("what a Skein node says of a killed one", () => {
  const killedAt = 1_000_000
  const member = (state: string, since: number) => ({
    node: "node-2",
    state,
    sinceAt: killedAt + since
  })

  test("counts from the kill, by the node's own word, and is kept", () => {
    const alive = sightingOf({}, member("alive", -60_000), killedAt)
    expect(alive).toEqual({})
    const suspect = sightingOf(alive, member("suspect", 800), killedAt)
    expect(suspect).toEqual({ suspected: 800 })
    const dead = sightingOf(suspect, member("dead", 5_000), killedAt)
    expect(dead).toEqual({ suspected: 800, failed: 5_000 })
    expect(sightingOf(dead, undefined, killedAt)).toEqual(dead)
  })

  test("a suspicion from before is not about it", () => {
    expect(sightingOf({}, member("suspect", -10), killedAt)).toEqual({})
  })

  test("alive since the kill says nothing", () => {
    expect(sightingOf({}, member("alive", 10), killedAt)).toEqual({})
  })
})

describe("what an agent of Serf logs of a killed one", () => {
  const log = `
    2026/01/02 03:04:30 [INFO] memberlist: Suspect node-2 has failed, no acks received
    2026/01/02 03:04:34 [INFO] memberlist: Marking node-2 as failed, suspect timeout reached (0 peer confirmations)
    2026/01/02 03:04:34 [INFO] serf: EventMemberFailed: node-2 127.0.0.1
`
  const untilMarked = log.slice(0, log.indexOf("Marking"))

  test("counts from when it stood there first", () => {
    const suspect = sightingIn({}, untilMarked, "node-2", 1_200)
    expect(suspect).toEqual({ suspected: 1_200 })
    expect(sightingIn(suspect, log, "node-2", 5_200)).toEqual({ suspected: 1_200, failed: 5_200 })
  })

  test("is of that one and of none whose name begins like it", () => {
    expect(sightingIn({}, log.replaceAll("node-2", "node-22"), "node-2", 9)).toEqual({})
    expect(sightingIn({}, log, "node-22", 9)).toEqual({})
  })
})
