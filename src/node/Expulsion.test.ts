import { describe, expect, it } from "@effect/vitest"
import { Effect, Logger } from "effect"
import { makeMembers } from "../../test/fixtures/Members.ts"
import { nodeOut, revoking } from "../../test/fixtures/Revoking.ts"
import type { VerifiedCertificate } from "../mesh/trust/Certificate.ts"
import { Revocations } from "../mesh/trust/Revocations.ts"
import { hearRevocations } from "./Expulsion.ts"

const [self, outcast, friend, stays] = makeMembers(4, 0)

const certificates: ReadonlyArray<VerifiedCertificate> = [
  outcast!.certificate,
  { ...friend!.certificate, issuers: [self!.peer, outcast!.peer] },
  { ...stays!.certificate, issuers: [self!.peer, outcast!.peer] }
]

const make = () => {
  const done: Array<string> = []
  const logged: Array<string> = []
  const nameOf = (peer: string) =>
    [self, outcast, friend, stays].find((one) => one!.peer === peer)?.name
  const cell = { current: Revocations.none }
  const hear = (next: Revocations) =>
    Effect.runSync(
      hearRevocations(next, {
        self: self!.peer,
        cell,
        thrownOut: () => (cell.current.node(self!.peer) === undefined ? undefined : "it is out"),
        admitted: { certificates: () => certificates },
        sessions: {
          certificates: () => certificates.slice(0, 1),
          end: (peer) => void done.push(`session of ${nameOf(peer)}`)
        },
        keeper: { disconnect: (peer) => void done.push(`connections of ${nameOf(peer)}`) },
        catalogue: {
          rejudge: (first) =>
            Effect.sync(() => done.push(`records, ${first.map(nameOf).join()} first`)),
          resign: Effect.sync(() => done.push("own record"))
        },
        onSessionEnd: (peer) => void done.push(`threads: ${nameOf(peer)}`)
      }).pipe(
        Effect.provide(
          Logger.replace(
            Logger.defaultLogger,
            Logger.make(({ message }) => void logged.push(String(message)))
          )
        )
      )
    )
  return { cell, done, hear, logged }
}

describe("who is thrown out", () => {
  it("is cut off before anything else, with all that rests on it and does not stay", () => {
    const { cell, done, hear, logged } = make()
    const next = revoking(nodeOut(outcast!.peer, stays!.peer))
    hear(next)
    expect(cell.current).toBe(next)
    expect(done).toEqual([
      "threads: host-1",
      "session of host-1",
      "connections of host-1",
      "session of host-2",
      "connections of host-2",
      "records, host-1 first"
    ])
    expect(logged).toEqual([
      `${outcast!.peer} was thrown out of the mesh by ops at 2027-01-15T08:00:00.000Z: its disk was stolen`
    ])
    // The same again is no news.
    done.length = 0
    hear(revoking(nodeOut(outcast!.peer, stays!.peer)))
    expect(done).toEqual([])
  })

  it("has its records judged again when it is let back in", () => {
    const { done, hear, logged } = make()
    hear(revoking(nodeOut(outcast!.peer)))
    done.length = 0
    logged.length = 0
    hear(Revocations.none)
    expect(done.at(-1)).toBe("records, host-1 first")
    expect(logged).toHaveLength(1)
  })
})

it("cuts off everybody when it is this node itself", () => {
  const { done, hear } = make()
  hear(revoking(nodeOut(self!.peer)))
  expect(done.filter((what) => what.startsWith("connections"))).toEqual([
    "connections of host-1",
    "connections of host-2",
    "connections of host-3"
  ])
})

describe("a service that was taken away", () => {
  it("ends the session that was made when it was there", () => {
    const { done, hear } = make()
    hear(revoking({ revoke: "grant", peer: outcast!.peer, service: "shop" }))
    expect(done).toEqual(["session of host-1", "records, host-1 first"])
  })

  it("of this node's is left out of its own record", () => {
    const { done, hear } = make()
    hear(revoking({ revoke: "grant", peer: self!.peer, service: "shop" }))
    expect(done).toEqual(["records,  first", "own record"])
  })
})
