import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Logger, TestClock } from "effect"
import { Supervisor } from "../mesh/actor/Supervisor.ts"
import { MeshRpcError } from "../mesh/host/MeshRpc.ts"
import type { MeshRpcClient } from "../mesh/host/MeshRpcClients.ts"
import type { PeerKey } from "../model/Names.ts"
import { keepAddresses } from "./AddressChecks.ts"

type Answer = "reached" | "not reached" | "refused" | "never"
const [a, b] = ["/dns4/a.example/tcp/4001", "/ip4/10.0.0.1/tcp/4001"]

interface Scene {
  readonly addresses?: ReadonlyArray<string>
  readonly isConfigured?: boolean
  /** What each member says of an address. */
  readonly members?: ReadonlyArray<(address: string) => Answer>
}

const scene = ({ addresses = [a], isConfigured = true, members = [] }: Scene) =>
  Effect.gen(function* () {
    const lines: Array<string> = []
    const logger = Logger.make(({ logLevel, message }) =>
      lines.push(`${logLevel.label} ${String(message)}`)
    )
    const present = [...members]
    const asked: Array<string> = []
    const checks = yield* keepAddresses({
      addresses: () => addresses,
      isConfigured,
      peers: () => present.map((_, index) => `peer-${index}` as PeerKey), // only passed back
      client: (peer) =>
        // Only this question is ever asked here.
        Effect.succeed({
          DialBack: ({ address }: { readonly address: string }) =>
            Effect.suspend(() => {
              asked.push(address)
              const answer = present[Number(peer.slice(5))]!(address)
              if (answer === "never") return Effect.never
              return answer === "refused"
                ? Effect.fail(new MeshRpcError({ code: "refused", message: "not known here" }))
                : Effect.succeed({ reached: answer === "reached" })
            })
        } as Partial<MeshRpcClient> as MeshRpcClient),
      nameOf: (peer) => peer.replace("peer", "host")
    }).pipe(
      Effect.provide(
        yield* Layer.build(
          Layer.merge(Supervisor.layer(), Logger.replace(Logger.defaultLogger, logger))
        )
      )
    )
    yield* TestClock.adjust(1)
    const states = () => checks.reports().map(({ state }) => state)
    return { checks, asked, lines, present, states }
  })

const says = (answer: Answer) => () => answer

describe("what a node announces", () => {
  it.scoped("is proven by the first member that reaches it, in silence", () =>
    Effect.gen(function* () {
      const { asked, checks, lines } = yield* scene({ members: [says("reached")] })
      expect(checks.reports()).toMatchObject([{ address: a, state: "reached", by: ["peer-0"] }])
      yield* TestClock.adjust("10 minutes")
      expect([asked, lines]).toEqual([[a], []])
      yield* TestClock.adjust("30 minutes")
      expect(asked).toHaveLength(2)
    })
  )

  it.scoped(
    "is told once when nobody reaches it, by whom it was tried, and when somebody does again",
    () =>
      Effect.gen(function* () {
        let answer: Answer = "not reached"
        const one = () => answer
        const { asked, lines, states } = yield* scene({ members: [one, one, one, one, one] })
        expect(asked).toHaveLength(3)
        expect([states(), lines]).toEqual([["untried"], []])
        yield* TestClock.adjust("5 seconds")
        expect(states()).toEqual(["unreached"])
        expect(lines).toEqual([
          expect.stringMatching(
            /^WARN no member reaches this node at \/dns4\/a\.example\/tcp\/4001, .*tried by host-\d, host-\d, host-\d.*node\.announce/
          )
        ])
        yield* TestClock.adjust("20 minutes")
        expect(lines).toHaveLength(1)
        answer = "reached"
        yield* TestClock.adjust("16 minutes")
        expect(states()).toEqual(["reached"])
        expect(lines[1]).toMatch(/^INFO host-\d reaches this node at .* again$/)
      })
  )

  it.scoped("one member that reaches it outweighs others that do not", () =>
    Effect.gen(function* () {
      const { lines, states } = yield* scene({
        members: [says("not reached"), says("reached"), says("not reached")]
      })
      yield* TestClock.adjust("1 minute")
      expect([states(), lines]).toEqual([["reached"], []])
    })
  )

  it.scoped("waits for somebody to ask, and for those who do not know the record yet", () =>
    Effect.gen(function* () {
      let answer: Answer = "refused"
      const { asked, checks, present, states } = yield* scene({})
      yield* TestClock.adjust("10 minutes")
      expect([states(), asked]).toEqual([["untried"], []])
      present.push(() => answer)
      checks.memberUp()
      yield* TestClock.adjust(1)
      expect([states(), asked]).toEqual([["untried"], [a]])
      yield* TestClock.adjust("2 minutes")
      const after = asked.length
      expect(after).toBeGreaterThan(4)
      expect(after).toBeLessThan(10)
      answer = "reached"
      checks.memberUp()
      yield* TestClock.adjust("1 second")
      expect(states()).toEqual(["reached"])
    })
  )

  it.scoped("by itself may hold addresses of no use, and is told when none is of any", () =>
    Effect.gen(function* () {
      let isOpen = true
      const { lines, states } = yield* scene({
        addresses: [a, b],
        isConfigured: false,
        members: [(address) => (address === b && isOpen ? "reached" : "not reached")]
      })
      yield* TestClock.adjust("1 minute")
      expect([states(), lines]).toEqual([["unreached", "reached"], []])
      isOpen = false
      yield* TestClock.adjust("1 hour")
      expect(states()).toEqual(["unreached", "unreached"])
      expect(lines).toEqual([
        expect.stringMatching(/^WARN no member reaches this node at .*a\.example.*10\.0\.0\.1/)
      ])
    })
  )

  it.scoped("is tried at once for who cannot wait, and not for long", () =>
    Effect.gen(function* () {
      const { asked, checks, present, states } = yield* scene({ addresses: [a, b] })
      present.push(says("reached"))
      yield* checks.tryNow
      expect(states()).toEqual(["reached", "reached"])
      yield* checks.tryNow
      expect(asked).toHaveLength(2)
      const stuck = yield* scene({})
      stuck.present.push(says("never"))
      const waiting = yield* Effect.fork(stuck.checks.tryNow)
      yield* TestClock.adjust("7 seconds")
      yield* Fiber.join(waiting)
      expect(stuck.states()).toEqual(["untried"])
    })
  )
})
