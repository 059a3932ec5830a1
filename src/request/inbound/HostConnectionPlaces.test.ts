import { Worker } from "node:worker_threads"
import { describe, expect, it } from "vitest"
import { HandTicker } from "../../testing/InboundFixture.ts"
import { makeHostMemory } from "../HostMemory.ts"
import { HostCounts } from "../policy/HostCounts.ts"
import { HostConnectionPlaces } from "./HostConnectionPlaces.ts"
import { HostPlaces } from "./HostPlaces.ts"

/** Of so many threads, and who rings whom. */
const sharing = (threads: number, most: number) => {
  const { counts } = makeHostMemory()
  const ticker = new HandTicker()
  const rung: Array<string> = []
  const places = Array.from({ length: threads }, (_, thread) => {
    const count = (name: string) => new HostCounts(counts, thread, threads).count(name)
    const made = new HostConnectionPlaces({
      ...{ thread, threads, ticker },
      connections: new HostPlaces(count("x"), most, most),
      waiting: new HostPlaces(count("x waiting"), 100, 100),
      wanting: count("x wanting"),
      ring: (other) => rung.push(`${thread} ${other}`),
      onJoin: () => undefined,
      onLeave: () => undefined
    })
    made.keep({ onRoom: () => void made.take(), closeOneIdle: () => false })
    return made
  })
  const heard = () => rung.splice(0)
  return { heard, places, ticker }
}

describe("places for connections that threads share", () => {
  it("are asked for again, as long as there are none, of all that have some", () => {
    const { heard, places, ticker } = sharing(4, 2)
    const [a, b, c] = places
    a!.take()
    c!.take()
    expect([b!.take(), b!.wait(), heard()]).toEqual([false, true, ["1 0", "1 2"]])
    ticker.advance(60)
    expect(heard()).toEqual(["1 0", "1 2"])
    b!.waitNoMore()
    ticker.advance(200)
    expect([heard(), ticker.timers]).toEqual([[], 0])
  })

  it("are put back without a word, and wanted no more by who lacks something else", () => {
    const { heard, places } = sharing(2, 4)
    const [a, b] = places
    for (let i = 0; i < 4; i++) a!.take()
    expect([b!.take(), b!.wait(), heard()]).toEqual([false, true, ["1 0"]])
    a!.look()
    expect(a!.owes()).toBe(true)
    a!.give()
    expect(heard()).toEqual(["0 1"])
    expect(b!.take()).toBe(true)
    b!.putBack()
    expect([heard(), a!.owes(), a!.take(), a!.taken]).toEqual([[], false, true, 4])
    expect(b!.waiting.taken).toBe(1)
    // It has what it lacked, and finds no place.
    expect([b!.take(), heard(), a!.owes()]).toEqual([false, ["1 0"], false])
    a!.look()
    expect(a!.owes()).toBe(true)
    b!.wantNone()
    expect(a!.owes()).toBe(false)
  })

  it("come to all that wait, and are never more than there are, where threads run at the same moment", async () => {
    const [threads, most, tasks] = [3, 2, 200]
    /** Places that are truly taken, and threads that have done all they had. */
    const truth = new Int32Array(new SharedArrayBuffer(8))
    const at = (name: string) => JSON.stringify(new URL(name, import.meta.url).href)
    const code = `
      import { workerData } from "node:worker_threads"
      import { LoopTicker } from ${at("../LoopTicker.ts")}
      import { HostLimits } from ${at("./HostLimits.ts")}
      const { memory, most, tasks, thread, threads, truth } = workerData
      const ticker = new LoopTicker()
      const onDefect = (error) => { throw error }
      const limits = new HostLimits({ ...memory, thread, threads, ticker, onDefect })
      const places = limits.connections("x", most, 100_000)
      const turn = () => new Promise((resolve) => setImmediate(resolve))
      let [idle, waiting, done] = [0, 0, 0]
      const taken = () => {
        const now = Atomics.add(truth, 0, 1) + 1
        if (now > most) throw new Error(now + " are taken, of " + most)
      }
      const give = () => {
        Atomics.sub(truth, 0, 1)
        places.give()
      }
      const run = async () => {
        await turn()
        done++
        if (places.owes()) {
          give()
        } else if (waiting > 0) {
          waiting--
          places.waitNoMore()
          void run()
        } else idle++
      }
      places.keep({
        onRoom: () => {
          if (waiting === 0 || !places.take()) return
          taken()
          waiting--
          places.waitNoMore()
          void run()
        },
        closeOneIdle: () => {
          if (idle === 0) return false
          idle--
          give()
          return true
        }
      })
      for (let task = 0; task < tasks; task++) {
        if (idle > 0) {
          idle--
          void run()
        } else if (places.take()) {
          taken()
          void run()
        } else {
          places.wait()
          waiting++
        }
        if (task % (2 + thread) === 0) await turn()
      }
      while (done < tasks) await turn()
      // What it has it keeps, and gives to who asks for it, until all are done.
      Atomics.add(truth, 1, 1)
      while (Atomics.load(truth, 1) < threads) await turn()
      places.keepNoMore()
      limits.stop()
      ticker.stop()`
    const url = new URL(`data:text/javascript,${encodeURIComponent(code)}`)
    const memory = makeHostMemory()
    await Promise.all(
      Array.from(
        { length: threads },
        (_, thread) =>
          new Promise<void>((resolve, reject) => {
            const worker = new Worker(url, {
              workerData: { memory, most, tasks, thread, threads, truth }
            })
            worker.once("error", reject)
            worker.once("exit", () => resolve())
          })
      )
    )
    expect(truth[1]).toBe(threads)
    expect(truth[0]).toBeLessThanOrEqual(most)
  })
})
