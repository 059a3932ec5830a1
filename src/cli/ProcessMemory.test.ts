import { execFileSync } from "node:child_process"
import { join } from "node:path"
import { describe, expect, it } from "vitest"

const subject = JSON.stringify(join(import.meta.dirname, "ProcessMemory.ts"))

/** What a process of its own says at its end: both change a whole process. */
const said = (program: string, ...flags: ReadonlyArray<string>): number =>
  Number(
    execFileSync(process.execPath, [...flags, "--input-type=module", "--eval", program], {
      encoding: "utf8"
    })
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

/** MB of code that are left of 3,000 functions, which collections 2 s apart have found unused. */
const unused = (before: string) =>
  said(
    `
    import v8 from "node:v8"
    import vm from "node:vm"
    import { dropUnusedCode } from ${subject}
    ${before}
    const line = (i, k) => \`x = (x * \${k + i} + y[\${k}]) | 0\`
    const lines = (i) => Array.from({ length: 20 }, (_, k) => line(i, k)).join("\\n")
    const texts = Array.from({ length: 3_000 }, (_, i) => \`function f\${i}(x, y) {\${lines(i)}\\nreturn x}\`)
    const space = () => v8.getHeapSpaceStatistics().find(({ space_name }) => space_name === "trusted_space")
    const used = () => space().space_used_size / 1e6
    const start = used()
    globalThis.all = vm.runInThisContext("[" + texts.join(",") + "]")
    for (const one of globalThis.all) one(1, new Array(20).fill(1))
    // Those that are asked for by hand count for nothing here. These are one or two.
    const collect = () => {
      for (let i = 0; i < 40; i++) globalThis.garbage = new Array(131_072).fill(i)
    }
    collect()
    setTimeout(() => {
      collect()
      console.log(used() - start)
    }, 2_000)
    `,
    "--max-old-space-size=40"
  )

describe("the memory of a node's process", () => {
  it("is not filled by compilations that are done", { timeout: 60_000 }, () => {
    expect(burst("freeCompilationsAtOnce()")).toBeLessThan(burst("") / 2)
  })

  it("is not filled by code that only the start needs", { timeout: 60_000 }, () => {
    expect(unused("dropUnusedCode(1)")).toBeLessThan(unused("") / 2)
  })
})
