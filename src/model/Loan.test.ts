import { PassThrough, Writable } from "node:stream"
import { describe, expect, it } from "@effect/vitest"
import { done, doneWith, free, keep, leastLoan, lend, writeOut } from "./Loan.ts"

const memory = (length = leastLoan): Buffer => Buffer.from(new ArrayBuffer(length)).fill(1)

describe("lent memory", () => {
  it("is free once each of its bytes is done with", () => {
    const whole = memory()
    lend(whole)
    done(whole.subarray(100))
    expect(whole.length).toBe(leastLoan)
    doneWith(whole.buffer, 99)
    expect(whole.length).toBe(leastLoan)
    doneWith(whole.buffer, 1)
    expect(whole.length).toBe(0)
    done(whole) // nothing is left to be done with
  })

  it("stays as it is when somebody keeps a part", () => {
    const whole = memory()
    lend(whole)
    keep(whole.subarray(5, 10))
    done(whole)
    expect(whole.length).toBe(leastLoan)
  })

  it("stays as it is when it was not lent, is small, or belongs to others as well", () => {
    const notLent = memory()
    const small = memory(leastLoan - 1)
    const shared = memory(2 * leastLoan)
    lend(small)
    lend(shared.subarray(1))
    for (const bytes of [notLent, small, shared.subarray(1)]) {
      done(bytes)
      expect(bytes.length).toBeGreaterThan(0)
    }
    free(shared.subarray(1))
    free(small)
    expect(shared.length).toBe(2 * leastLoan)
    expect(small.length).toBe(leastLoan - 1)
    free(shared)
    expect(shared.length).toBe(0)
  })

  it("is free when it is written, and not before", async () => {
    const took: Array<() => void> = []
    let seen = 0
    const slow = new Writable({
      write: (chunk: Buffer, _, taken) => {
        seen += chunk.length
        took.push(taken)
      }
    })
    const [first, second] = [memory(), memory()]
    for (const bytes of [first, second]) {
      lend(bytes)
      writeOut(slow, bytes)
    }
    expect(first.length).toBe(leastLoan)
    took[0]?.()
    await new Promise(setImmediate)
    expect([first.length, second.length]).toEqual([0, leastLoan])
    took[1]?.()
    await new Promise(setImmediate)
    expect(second.length).toBe(0)
    expect(seen).toBe(2 * leastLoan)
  })

  it("is written like any other when it was not lent", () => {
    const stream = new PassThrough()
    writeOut(stream, Buffer.from("as it is"))
    expect(String(stream.read())).toBe("as it is")
  })
})
