import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { noFields, type RequestStream } from "../../model/Exchange.ts"
import { RequestBody } from "./RequestBody.ts"

/** An attempt that takes `appetite` chunks at a time. */
class Target implements RequestStream {
  readonly taken: Array<Uint8Array> = []
  ended = false
  afterFull = 0
  #room: number

  constructor(appetite: number) {
    this.#room = appetite
  }

  get text(): string {
    return Buffer.concat(this.taken).toString()
  }

  write(chunk: Uint8Array): boolean {
    if (this.#room <= 0) this.afterFull++
    this.taken.push(chunk)
    return --this.#room > 0
  }

  end(): void {
    if (this.ended) throw new Error("ended twice")
    this.ended = true
  }

  feed(appetite: number): void {
    this.#room = appetite
  }

  cancel(): void {}
  resume(): void {}
}

const bytes = (text: string) => Buffer.from(text)
const plenty = Number.POSITIVE_INFINITY

describe("RequestBody", () => {
  it("passes on what comes, and its end", () => {
    const body = new RequestBody(100)
    const target = new Target(plenty)
    body.sendTo(target)
    expect(body.write(bytes("ab"))).toBe(true)
    expect(target.text).toBe("ab")
    body.end(noFields)
    expect(target.ended).toBe(true)
    expect(body.received).toBe(2)
  })

  it("gives the next attempt all of it again", () => {
    const body = new RequestBody(100)
    body.sendTo(new Target(plenty))
    body.write(bytes("ab"))
    body.detach()
    expect(body.write(bytes("cd"))).toBe(false)
    const second = new Target(plenty)
    body.sendTo(second)
    expect(second.text).toBe("abcd")
    expect(body.callerMayGoOn()).toBe(true)
    expect(body.callerMayGoOn()).toBe(false)
    body.write(bytes("ef"))
    body.end(noFields)
    expect(second.text).toBe("abcdef")
    const third = new Target(plenty)
    body.sendTo(third)
    expect(third.text).toBe("abcdef")
    expect(third.ended).toBe(true)
  })

  it("lets go of a body that outgrows the limit", () => {
    const body = new RequestBody(4)
    const target = new Target(plenty)
    body.sendTo(target)
    body.write(bytes("abcd"))
    expect(body.repeatable).toBe(true)
    body.write(bytes("e"))
    expect(body.repeatable).toBe(false)
    body.write(bytes("f"))
    expect(target.text).toBe("abcdef")
  })

  it("has one that outgrew the limit again for an attempt after one that reached nobody", () => {
    const body = new RequestBody(4)
    body.sendTo(new Target(plenty))
    body.write(bytes("abcde"))
    expect(body.repeatable).toBe(false)
    expect(body.resendable).toBe(true)
    body.detach()
    const second = new Target(plenty)
    body.sendTo(second)
    body.write(bytes("f"))
    expect(second.text).toBe("abcdef")
    // More than any link takes in unread: it is being read.
    body.write(Buffer.alloc(256 * 1024))
    expect(body.resendable).toBe(false)
  })

  it("keeps nothing without a limit, but an empty body can be repeated", () => {
    const body = new RequestBody(undefined)
    body.sendTo(new Target(plenty))
    expect(body.repeatable).toBe(true)
    body.write(bytes("a"))
    expect(body.repeatable).toBe(false)
    expect(body.resendable).toBe(false)
  })

  it("can be sent again to who follows nobody with a limit of 0", () => {
    const body = new RequestBody(0)
    body.sendTo(new Target(plenty))
    body.write(bytes("a"))
    expect(body.repeatable).toBe(false)
    expect(body.resendable).toBe(true)
  })

  it("keeps what comes while nobody takes it, beyond the limit if need be", () => {
    const body = new RequestBody(2)
    body.sendTo(new Target(plenty))
    body.write(bytes("ab"))
    body.detach()
    expect(body.write(bytes("cd"))).toBe(false)
    expect(body.repeatable).toBe(true)
    const second = new Target(plenty)
    body.sendTo(second)
    expect(second.text).toBe("abcd")
    expect(body.repeatable).toBe(false)
  })

  it("cannot be repeated once released, but still sends what is left", () => {
    const body = new RequestBody(100)
    const target = new Target(1)
    body.sendTo(target)
    body.write(bytes("ab"))
    body.write(bytes("cd"))
    body.release()
    expect(target.text).toBe("ab")
    target.feed(plenty)
    body.writable()
    expect(target.text).toBe("abcd")
    expect(body.repeatable).toBe(false)
  })

  it("survives an attempt that fails while it is written to", () => {
    const body = new RequestBody(100)
    const second = new Target(plenty)
    class Failing extends Target {
      override write(chunk: Uint8Array): boolean {
        super.write(chunk)
        body.detach()
        body.sendTo(second)
        return false
      }
    }
    body.sendTo(new Failing(plenty))
    expect(body.write(bytes("ab"))).toBe(true)
    expect(body.write(bytes("cd"))).toBe(true)
    expect(second.text).toBe("abcd")
  })

  it("delivers every byte once and in order to the last attempt, and never drives it too hard", () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant("write"), text: fc.string({ maxLength: 6 }) }),
      fc.record({ kind: fc.constant("feed"), appetite: fc.integer({ min: 1, max: 4 }) }),
      fc.record({ kind: fc.constant("retry"), appetite: fc.integer({ min: 1, max: 4 }) }),
      fc.record({ kind: fc.constant("detach") })
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.nat(40), (steps, limit) => {
        const body = new RequestBody(limit)
        let target = new Target(2)
        body.sendTo(target)
        let attached = true
        let sent = ""
        let held = false
        for (const one of steps) {
          if (one.kind === "write" && "text" in one) {
            if (held) continue
            held = !body.write(bytes(one.text))
            sent += one.text
          } else if (one.kind === "feed" && "appetite" in one) {
            target.feed(one.appetite)
            if (attached) body.writable()
          } else if (one.kind === "retry" && "appetite" in one && body.repeatable) {
            body.detach()
            target = new Target(one.appetite)
            attached = true
            body.sendTo(target)
          } else if (one.kind === "detach" && body.repeatable) {
            body.detach()
            attached = false
          }
          if (body.callerMayGoOn()) held = false
          if (attached) expect(sent.startsWith(target.text)).toBe(true)
        }
        if (!attached) {
          target = new Target(plenty)
          body.sendTo(target)
        }
        body.end(noFields)
        target.feed(plenty)
        body.writable()
        expect(target.text).toBe(Buffer.from(sent).toString())
        expect(target.ended).toBe(true)
        // Rule 5 allows one chunk after false; this needs none.
        expect(target.afterFull).toBe(0)
        expect(body.received).toBe(Buffer.byteLength(sent))
      })
    )
  })
})
