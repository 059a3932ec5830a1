import { execFileSync } from "node:child_process"
import { join } from "node:path"
import { describe, expect, it } from "vitest"

const subject = JSON.stringify(join(import.meta.dirname, "ProcessMemory.ts"))

/** What a process of its own says at its end: both change a whole process. */
const said = (program: string): number =>
  Number(
    execFileSync(process.execPath, ["--input-type=module", "--eval", program], { encoding: "utf8" })
  )

/** MB that compilers had at once, as 50 functions became hot. */
const burst = (before: string) =>
  said(`
    import v8 from "node:v8"
    import { freeCompilationsAtOnce } from ${subject}
    ${before}
    const line = (i, k) => \`x = (x * \${k + i} + y[\${k}]) | 0; if (x > \${k}000) y[\${k}] = x\`
    const lines = (i) => Array.from({ length: 60 }, (_, k) => line(i, k)).join("\\n")
    const hot = Array.from({ length: 50 }, (_, i) => new Function("x", "y", lines(i) + "\\nreturn x"))
    const y = new Array(60).fill(1)
    for (let n = 0; n < 2000; n++) for (const one of hot) one(n, y)
    console.log(v8.getHeapStatistics().peak_malloced_memory / 1e6)
  `)

describe("the memory of a node's process", () => {
  it("is not filled by compilations that are done", { timeout: 60_000 }, () => {
    expect(burst("freeCompilationsAtOnce()")).toBeLessThan(burst("") / 2)
  })
})
