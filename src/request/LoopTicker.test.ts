import { readFile } from "node:fs"
import { connect, createServer } from "node:net"
import { afterEach, describe, expect, it, vi } from "vitest"
import { until } from "../../test/fixtures/Processes.ts"
import { LoopTicker } from "./LoopTicker.ts"

describe("LoopTicker", () => {
  let ticker = new LoopTicker()
  afterEach(() => {
    ticker.stop()
    ticker = new LoopTicker()
  })

  it("reports a timer that throws, and fires those that are due later", async () => {
    const defects: Array<readonly [unknown, string]> = []
    ticker.onDefect = (...told) => defects.push(told)
    const error = new Error("in a timer")
    let fired = false
    ticker.after(1, () => {
      throw error
    })
    ticker.after(50, () => {
      fired = true
    })
    await until("the timer has fired", () => fired || undefined)
    expect(defects).toEqual([[error, "a timer"]])
  })

  it("lets what has come meanwhile be read first, when the thread was held up", async () => {
    const server = createServer((socket) => socket.destroy())
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    const address = server.address()
    if (address === null || typeof address === "string") throw new Error("no port")
    const told: Array<string> = []
    // As requests do: out of what arrives, in the turn in which the thread is held up.
    readFile(new URL(import.meta.url), () => {
      const socket = connect(address.port, "127.0.0.1", () => told.push("connected"))
      socket.on("error", (cause) => told.push(cause.message))
      ticker.after(50, () => told.push("too late"))
      const end = performance.now() + 200
      while (performance.now() < end) {
        // Held up; the kernel has connected it long ago.
      }
    })
    await until("both are told", () => told.length === 2 || undefined)
    server.close()
    expect(told).toEqual(["connected", "too late"])
  })

  it("lets it be read first, too, when what may wait fires at the end of a turn that took long", async () => {
    const server = createServer((socket) => socket.destroy())
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    const address = server.address()
    if (address === null || typeof address === "string") throw new Error("no port")
    const told: Array<string> = []
    ticker.after(1, () => told.push("ripe"), 10_000)
    await new Promise((wake) => setTimeout(wake, 50))
    readFile(new URL(import.meta.url), () => {
      ticker.now()
      const socket = connect(address.port, "127.0.0.1", () => told.push("connected"))
      socket.on("error", (cause) => told.push(cause.message))
      ticker.after(50, () => told.push("too late"))
      const end = performance.now() + 200
      while (performance.now() < end) {
        // Held up.
      }
    })
    await until("all are told", () => told.length === 3 || undefined)
    server.close()
    expect(told.indexOf("connected")).toBeLessThan(told.indexOf("too late"))
  })

  it("counts a delay from when it is asked for, also in a turn that takes long", async () => {
    const began = ticker.now()
    while (performance.now() - began < 200) {
      // One turn.
    }
    const asked = performance.now()
    let fired: number | undefined
    ticker.after(100, () => {
      fired = performance.now()
    })
    expect((await until("it fires", () => fired)) - asked).toBeGreaterThanOrEqual(100)
  })

  it("does not wake for a timer that was called off, where the runtime can sleep through it", () => {
    vi.useFakeTimers({
      toFake: ["setTimeout", "clearTimeout", "setImmediate", "clearImmediate", "performance"]
    })
    try {
      const sleeper = new LoopTicker(true)
      let fired = 0
      const began = performance.now()
      const first = sleeper.after(500, () => fired++)
      sleeper.after(2_000, () => fired++)
      vi.advanceTimersByTime(150)
      sleeper.now()
      first.cancel()
      vi.advanceTimersByTime(10)
      vi.advanceTimersToNextTimer()
      // Nothing has woken it in between.
      expect(performance.now() - began).toBeGreaterThan(1_950)
      vi.advanceTimersByTime(100)
      expect(fired).toBe(1)
      sleeper.stop()
    } finally {
      vi.useRealTimers()
    }
  })

  it("wakes for it where the runtime wakes anyway, and fires what can wait", () => {
    vi.useFakeTimers({
      toFake: ["setTimeout", "clearTimeout", "setImmediate", "clearImmediate", "performance"]
    })
    try {
      const sleeper = new LoopTicker(false)
      const fired: Array<number> = []
      const began = performance.now()
      const first = sleeper.after(500, () => fired.push(0))
      sleeper.after(400, () => fired.push(Math.round(performance.now() - began)), 1_000)
      vi.advanceTimersByTime(150)
      sleeper.now()
      first.cancel()
      vi.advanceTimersByTime(10)
      vi.advanceTimersToNextTimer()
      expect(fired).toHaveLength(1)
      expect(fired[0]).toBeGreaterThanOrEqual(500)
      expect(fired[0]).toBeLessThan(520)
      vi.advanceTimersByTime(2_000)
      expect(fired).toHaveLength(1)
      expect(vi.getTimerCount()).toBe(0)
      sleeper.stop()
    } finally {
      vi.useRealTimers()
    }
  })

  it("fires what can wait in a turn that comes anyway", () => {
    vi.useFakeTimers({
      toFake: ["setTimeout", "clearTimeout", "setImmediate", "clearImmediate", "performance"]
    })
    try {
      const sleeper = new LoopTicker()
      const fired: Array<number> = []
      const began = performance.now()
      const note = () => fired.push(Math.round(performance.now() - began))
      sleeper.after(500, note, 1_000)
      vi.advanceTimersByTime(400)
      sleeper.now()
      vi.advanceTimersByTime(300)
      expect(fired).toEqual([])
      // Something came, for which somebody asked what time it is.
      sleeper.now()
      vi.advanceTimersByTime(1)
      expect(fired).toHaveLength(1)
      expect(fired[0]).toBeLessThan(720)
      sleeper.after(500, note, 1_000)
      vi.advanceTimersByTime(1_400)
      expect(fired).toHaveLength(1)
      vi.advanceTimersByTime(200)
      expect(fired).toHaveLength(2)
      sleeper.stop()
      expect(vi.getTimerCount()).toBe(0)
    } finally {
      vi.useRealTimers()
    }
  })
})
