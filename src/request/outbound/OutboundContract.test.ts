/**
 * The contract of model/Exchange.ts, kept by the outbound stack whatever caller, endpoints and
 * clock do in whatever order. RecordingReceiver throws on any call that the rules forbid.
 */
import fc from "fast-check"
import { expect, it } from "vitest"
import { noFields } from "../../model/Exchange.ts"
import type { FaultCode } from "../../model/Fault.ts"
import type { PolicyInput } from "../../schema/PolicySchema.ts"
import { endpointView, Fixture, peerKey } from "../../testing/OutboundFixture.ts"
import type { SentCall } from "../../testing/OutboundRecorders.ts"
import { seededRandom } from "../../testing/simulator/EventQueue.ts"

const endpoints = ["a", "b", "c"].map((letter) => endpointView(letter))
const policy: PolicyInput = {
  timeout: { request: "3s", perTry: "700ms", idle: "2s", tcpIdle: "5s" },
  retry: { attempts: 2, on: ["reset", "5xx", "timeout"], bodyLimit: 64 },
  breaker: { consecutiveFailures: 3 }
}

const action = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant("write"), text: fc.string({ maxLength: 20 }) })
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("end") }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("cancel") }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("hungry"), yes: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("writable"), yes: fc.boolean() }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("head"),
      status: fc.constantFrom(101, 200, 404, 429, 500, 503)
    })
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("data"),
      text: fc.string({ minLength: 1, maxLength: 20 })
    })
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("finish") }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("fault"),
      code: fc.constantFrom<FaultCode>("upstream_connect", "upstream_reset", "draining", "denied"),
      sent: fc.boolean()
    })
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant("wait"), ms: fc.integer({ min: 1, max: 900 }) })
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("link"), up: fc.boolean() }) }
)
type Action = typeof action extends fc.Arbitrary<infer A> ? A : never

/** One exchange, driven within the rules from both sides. */
class Drive {
  readonly mesh: Fixture
  readonly exchange: ReturnType<Fixture["request"]>
  readonly tcp: boolean
  /** Of the attempt under way. */
  headSent: SentCall | undefined = undefined
  written = ""
  ended = false
  held = false
  writables = 0

  constructor(tcp: boolean, seed: number) {
    this.mesh = new Fixture(policy, endpoints, { random: seededRandom(seed) })
    this.tcp = tcp
    this.exchange = tcp ? this.mesh.tunnel() : this.mesh.request("PUT", { body: true })
  }

  get live(): ReadonlyArray<SentCall> {
    return this.mesh.sent.filter(({ cancelled, over }) => !over && cancelled === undefined)
  }

  get over(): boolean {
    return this.exchange.receiver.done || this.exchange.receiver.cancelled
  }

  /** Over for the caller, whose last bytes the endpoint does not take yet (a tunnel's half). */
  get draining(): boolean {
    const [attempt] = this.live
    return attempt !== undefined && attempt.trailers === undefined && this.over && this.ended
  }

  run(one: Action): void {
    const { receiver, stream } = this.exchange
    const [attempt] = this.live
    const answered = receiver.trailers !== undefined
    const open = attempt !== undefined && (this.tcp || this.headSent === attempt)
    if ("text" in one && one.kind === "write") {
      if (this.ended || this.over || this.held) return
      this.written += one.text
      this.held = !stream.write(Buffer.from(one.text))
    } else if (one.kind === "end") {
      if (this.ended || this.over || this.held) return
      this.ended = true
      receiver.callerEnded = true
      stream.end(noFields)
    } else if (one.kind === "cancel") {
      if (!this.over) this.exchange.cancel()
    } else if ("yes" in one && one.kind === "hungry") {
      receiver.hungry = one.yes
      if (one.yes) stream.resume()
    } else if ("yes" in one && attempt !== undefined) {
      if (one.yes && !attempt.writable) attempt.drained()
      else attempt.writable = one.yes
    } else if ("status" in one && attempt !== undefined && !open && !this.tcp) {
      this.headSent = attempt
      attempt.head(one.status)
    } else if ("text" in one && open && !answered) attempt.data(one.text)
    else if (one.kind === "finish" && open && !answered) attempt.finish()
    else if ("code" in one && attempt !== undefined) attempt.fault(one.code, one.sent)
    else if ("ms" in one) this.mesh.ticker.advance(one.ms)
    else if ("up" in one) {
      if (one.up) this.mesh.outbound.peerUp(peerKey("a"))
      else this.mesh.outbound.peerDown(peerKey("a"))
    }
    if (receiver.writables > this.writables) {
      this.writables = receiver.writables
      this.held = false
    }
  }
}

it("holds whatever happens", () => {
  fc.assert(
    fc.property(
      fc.array(action, { maxLength: 40 }),
      fc.boolean(),
      fc.integer(),
      (actions, tcp, seed) => {
        const drive = new Drive(tcp, seed)
        const { mesh } = drive
        const { observed, receiver } = drive.exchange
        for (const one of actions) {
          const attempts = mesh.sent.length
          const committed = receiver.head !== undefined || receiver.chunks.length > 0
          const wasOver = drive.over
          drive.run(one)
          // One attempt at a time, none too many, none after the response began or the end.
          const ended = drive.over && !drive.draining
          expect(drive.live.length).toBeLessThanOrEqual(ended ? 0 : 1)
          expect(mesh.sent.length).toBeLessThanOrEqual(3)
          if (committed || wasOver) expect(mesh.sent.length).toBe(attempts)
          // Every attempt gets the body from its start, in order.
          for (const sent of mesh.sent) expect(drive.written.startsWith(sent.body)).toBe(true)
          expect(observed.ends.length).toBe(ended ? 1 : 0)
        }
        const wasOver = drive.over
        const [attempt] = drive.live
        if (!wasOver && attempt !== undefined) {
          // Given the chance, it gets all of it.
          if (!attempt.writable) attempt.drained()
          expect(attempt.body).toBe(drive.written)
          expect(attempt.trailers !== undefined).toBe(drive.ended)
        }
        // Time ends everything that nothing else has ended.
        mesh.ticker.advance(60_000)
        expect(drive.over).toBe(true)
        expect(drive.live).toEqual([])
        expect(mesh.ticker.wheel.size).toBe(0)
        expect(observed.ends).toHaveLength(1)
        expect(observed.ends[0]?.in).toBeLessThanOrEqual(Buffer.byteLength(drive.written))
        expect(observed.ends[0]?.out).toBe(Buffer.byteLength(receiver.body))
        // A caller that left, or did not send its request, says nothing of the service.
        const outcome = observed.ends[0]?.outcome
        const ofCaller = outcome?.kind === "fault" && /^client_/.test(outcome.code)
        const requests = ofCaller ? 0 : 1
        expect(mesh.outbound.services()).toMatchObject([{ inFlight: 0, requests }])
        expect(mesh.counter("skein_endpoint_in_flight")).toEqual({})
      }
    ),
    { numRuns: 1_500 }
  )
})
