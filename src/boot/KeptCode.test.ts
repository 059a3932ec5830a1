/** What a program of the build leaves for the next one that runs it. */
import { execFileSync } from "node:child_process"
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { afterAll, describe, expect, it } from "vitest"

const directory = mkdtempSync(join(tmpdir(), "skein-kept-"))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

const subject = JSON.stringify(join(import.meta.dirname, "KeptCode.ts"))
const cache = join(directory, "cache")

/** As the build makes them: called with `require`, `module`, `exports` and its own URL. */
const script = (name: string, body: string): string => {
  const path = join(directory, name)
  writeFileSync(path, `(function(require,module,exports,skeinProgram){\n"use strict";${body}\n})`)
  return path
}

/** What a process of its own says that runs it; after `ms`, in which what it compiled is kept: 0 is no time. */
const runs = (path: string, ms = 0, variables: Readonly<Record<string, string>> = {}): string =>
  execFileSync(
    process.execPath,
    [
      ...["--no-warnings", "--input-type=module", "--eval"],
      `
        import module from "node:module"
        import { runProgram } from ${subject}
        module.enableCompileCache(${JSON.stringify(cache)})
        const isKept = runProgram(new URL(${JSON.stringify(pathToFileURL(path).href)}), ${ms > 0 ? 20 : 60_000})
        console.log(isKept ? "kept" : "compiled")
        setTimeout(() => undefined, ${ms})
      `
    ],
    { encoding: "utf8", env: { ...process.env, ...variables } }
  )

const keptIn = (): ReadonlyArray<string> =>
  readdirSync(cache, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".code"))
    .map((name) => join(cache, name))

const forget = () => rmSync(cache, { recursive: true, force: true })

describe("a program of the build", { timeout: 30_000 }, () => {
  it("is run with the functions that an earlier run has compiled", () => {
    forget()
    const many = Array.from({ length: 200 }, (_, i) => `const f${i} = (x) => { return x + ${i} }`)
    const path = script("some-AAAA.cjs", `${many.join("\n")}\nconsole.log(f7(1))`)
    expect(runs(path, 100)).toBe("8\ncompiled\n")
    const [place = "none"] = keptIn()
    expect(place).toContain("some-AAAA.cjs.code")
    // V8 says of what it holds which functions are compiled: those that were called.
    const least = readFileSync(place).length
    expect(runs(path)).toBe("8\nkept\n")
    forget()
    const all = many.map((_, i) => `f${i}(1)`).join(";")
    expect(runs(script("some-AAAA.cjs", `${many.join("\n")}\n${all}`), 100)).toBe("compiled\n")
    expect(readFileSync(keptIn()[0] ?? "").length).toBeGreaterThan(least * 2)
  })

  it("goes by itself where what is kept is torn, and keeps it anew", () => {
    forget()
    const path = script("torn-BBBB.cjs", "console.log(require('node:path').basename(skeinProgram))")
    expect(runs(path, 100)).toBe("torn-BBBB.cjs\ncompiled\n")
    const [place = "none"] = keptIn()
    const kept = readFileSync(place)
    for (const torn of [kept.subarray(0, kept.length - 7), kept.subarray(0, 3), Buffer.alloc(0)]) {
      writeFileSync(place, torn)
      expect(runs(path, 100)).toBe("torn-BBBB.cjs\ncompiled\n")
      expect(runs(path)).toBe("torn-BBBB.cjs\nkept\n")
    }
    const rotten = Buffer.from(kept)
    rotten.writeUInt8(rotten.readUInt8(kept.length >> 1) ^ 1, kept.length >> 1)
    writeFileSync(place, rotten)
    expect(runs(path)).toBe("torn-BBBB.cjs\ncompiled\n")
    expect(runs(path)).toBe("torn-BBBB.cjs\nkept\n")
  })

  it("is not kept while it is still busy with its start", () => {
    forget()
    const path = script(
      "busy-FFFF.cjs",
      `const { existsSync, readdirSync } = require("node:fs")
      const cache = ${JSON.stringify(cache)}
      const isKept = () =>
        existsSync(cache) && readdirSync(cache, { recursive: true }).some((it) => it.endsWith(".code"))
      const end = Date.now() + 250
      const work = () => {
        for (const pause = Date.now() + 5; Date.now() < pause; );
        if (Date.now() < end) return setImmediate(work)
        console.log(isKept())
        const look = () => isKept() ? console.log("kept") : setTimeout(look, 10)
        look()
      }
      work()`
    )
    expect(runs(path, 100)).toBe("compiled\nfalse\nkept\n")
  })

  it("is kept at its end where that comes first", () => {
    forget()
    const path = script("ends-EEEE.cjs", "setTimeout(() => process.exit(), 1)")
    // It says nothing of its own, and ends before it is to be kept.
    expect(runs(path)).toBe("compiled\n")
    expect(runs(path)).toBe("kept\n")
  })

  it("is not kept again at its end, of which much was dropped by then", () => {
    forget()
    const path = script(
      "long-FFFF.cjs",
      `const { statSync, utimesSync } = require("node:fs")
      const { getCompileCacheDir } = require("node:module")
      const place = getCompileCacheDir() + "/long-FFFF.cjs.code"
      const look = () => {
        if (statSync(place, { throwIfNoEntry: false }) === undefined) return setTimeout(look, 1)
        utimesSync(place, 1, 1)
        process.exit()
      }
      look()`
    )
    expect(runs(path, 5)).toBe("compiled\n")
    expect(statSync(keptIn()[0] ?? "").mtimeMs).toBe(1_000)
  })

  it("keeps it anew after a day", () => {
    forget()
    const path = script("aged-CCCC.cjs", "console.log(1)")
    runs(path, 100)
    const [place = "none"] = keptIn()
    const old = new Date(Date.now() - 25 * 3_600_000)
    utimesSync(place, old, old)
    expect(runs(path, 100)).toBe("1\nkept\n")
    const beside = readdirSync(join(place, "..")).filter((name) => /\.code./.test(name))
    expect(beside).toEqual([])
    expect(runs(path)).toBe("1\nkept\n")
  })

  it("runs where nothing is kept", () => {
    forget()
    const path = script(
      "none-DDDD.cjs",
      "import('node:os').then(({ EOL }) => console.log(EOL === '\\n'))"
    )
    const said = runs(path, 100, { NODE_DISABLE_COMPILE_CACHE: "1" })
    expect(said).toBe("compiled\ntrue\n")
    expect(existsSync(cache) ? keptIn() : []).toEqual([])
  })
})
