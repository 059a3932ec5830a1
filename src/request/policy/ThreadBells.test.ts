import { Worker } from "node:worker_threads"
import { afterEach, describe, expect, it } from "vitest"
import { uncontained } from "../../model/Defect.ts"
import { Watched } from "../../testing/InboundFixture.ts"
import { bellMemory, ringAll, ThreadBells } from "./ThreadBells.ts"

const cleanups: Array<() => unknown> = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup()
})

class Heard extends Watched {
  times = 0
  readonly onRing = (): void => {
    this.times++
    this.happened()
  }
}

const bellsOf = (memory: SharedArrayBuffer, thread: number) => {
  const heard = new Heard()
  const bells = new ThreadBells({
    ...{ memory, thread, onDefect: uncontained },
    onRing: heard.onRing
  })
  cleanups.push(() => bells.stop())
  return { heard, bells }
}

/** Long enough for a ring to be heard. */
const turns = async () => {
  for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve))
}

describe("the bell of a thread", () => {
  it("is heard once for all rings before it looks, and again after that", async () => {
    const memory = bellMemory()
    const [a, b] = [bellsOf(memory, 0), bellsOf(memory, 1)]
    for (let i = 0; i < 5; i++) b.bells.ring(0)
    await a.heard.until(() => a.heard.times > 0)
    await turns()
    expect([a.heard.times, b.heard.times]).toEqual([1, 0])
    b.bells.ring(0)
    await a.heard.until(() => a.heard.times === 2)
  })

  it("is heard when it was rung before the thread began", async () => {
    const memory = bellMemory()
    bellsOf(memory, 1).bells.ring(0)
    const { heard } = bellsOf(memory, 0)
    await heard.until(() => heard.times === 1)
  })

  it("rings for its own thread in a later turn", async () => {
    const { bells, heard } = bellsOf(bellMemory(), 0)
    bells.ring(0)
    expect(heard.times).toBe(0)
    await heard.until(() => heard.times === 1)
  })

  it("is not heard any more after it was stopped", async () => {
    const memory = bellMemory()
    const [a, b] = [bellsOf(memory, 0), bellsOf(memory, 1)]
    a.bells.stop()
    b.bells.ring(0)
    await turns()
    expect(a.heard.times).toBe(0)
  })

  it("rings on where what is looked at throws", async () => {
    const memory = bellMemory()
    const defects: Array<unknown> = []
    const heard = new Heard()
    const bells = new ThreadBells({
      ...{ memory, thread: 0 },
      onRing: () => {
        throw new Error("broken")
      },
      onDefect: (error) => {
        defects.push(error)
        heard.onRing()
      }
    })
    cleanups.push(() => bells.stop())
    ringAll(memory)
    await heard.until(() => defects.length === 1)
    ringAll(memory)
    await heard.until(() => defects.length === 2)
  })

  it("rings between threads", async () => {
    const memory = bellMemory()
    const file = new URL("./ThreadBells.ts", import.meta.url).href
    const code = `
      import { parentPort, workerData } from "node:worker_threads"
      import { ThreadBells } from ${JSON.stringify(file)}
      const onDefect = (error) => { throw error }
      const bells = new ThreadBells({ memory: workerData, thread: 1, onDefect, onRing: () => bells.ring(0) })
      parentPort.on("message", () => undefined)
      parentPort.postMessage("ready")`
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`), {
      workerData: memory
    })
    cleanups.push(() => worker.terminate())
    const { bells, heard } = bellsOf(memory, 0)
    await new Promise((resolve, reject) => {
      worker.once("message", resolve)
      worker.once("error", reject)
    })
    for (let times = 1; times <= 20; times++) {
      bells.ring(1)
      await heard.until(() => heard.times === times)
    }
  })
})
