/** What a program of the build leaves for the next one that runs it. */
import { spawnSync } from "node:child_process"
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import { pathToFileURL } from "node:url"
import { afterAll, describe, expect, it } from "vitest"

const directory = mkdtempSync(join(tmpdir(), "skein-kept-"))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

const subject = JSON.stringify(join(import.meta.dirname, "KeptCode.ts"))
const memory = JSON.stringify(join(import.meta.dirname, "../cli/ProcessMemory.ts"))
const cache = join(directory, "cache")

/** As the build makes them: called with `require`, `module`, `exports` and its own URL. */
const script = (name: string, body: string): string => {
  const path = join(directory, name)
  writeFileSync(path, `(function(require,module,exports,skeinProgram){\n"use strict";${body}\n})`)
  return path
}

type Variables = Readonly<Record<string, string>>

/** A process of its own that did this. It has `runProgram` and `changeFlags`, as a node does once it is up. */
const done = (does: string, variables: Variables = {}) => {
  const { status, stderr, stdout } = spawnSync(
    process.execPath,
    [
      ...["--no-warnings", "--input-type=module", "--eval"],
      `
        import module from "node:module"
        import { runProgram } from ${subject}
        import { dropUnusedCode, freeCompilationsAtOnce } from ${memory}
        const changeFlags = () => {
          freeCompilationsAtOnce()
          dropUnusedCode()
        }
        module.enableCompileCache(${JSON.stringify(cache)})
        ${does}
      `
    ],
    { encoding: "utf8", env: { ...process.env, ...variables } }
  )
  if (status !== 0) throw new Error(stderr)
  return { stderr, stdout }
}

const said = (does: string, variables?: Variables): string => done(does, variables).stdout

const urlOf = (path: string): string => `new URL(${JSON.stringify(pathToFileURL(path).href)})`

/** Lasts until it is kept for fresh, and for so long at most, ms. */
const lasting = (path: string, ms: number): string => `
  const { existsSync, readdirSync, statSync } = process.getBuiltinModule("node:fs")
  const isKeptNow = () =>
    existsSync(${JSON.stringify(cache)}) &&
    readdirSync(${JSON.stringify(cache)}, { recursive: true })
      .filter((it) => it.endsWith(${JSON.stringify(`${basename(path)}.code`)}))
      .some((it) => Date.now() - statSync(${JSON.stringify(`${cache}/`)} + it).mtimeMs < 86_400_000)
  const end = Date.now() + ${ms}
  const last = () => Date.now() < end && !isKeptNow() && setTimeout(last, 10)
  last()
`

const running = (path: string, ms: number): string => `
  const isKept = runProgram(${urlOf(path)}, { after: ${ms > 0 ? 20 : 60_000} })
  console.log(isKept ? "kept" : "compiled")
  ${lasting(path, ms)}
`

/** What a process says that runs it, and lasts until what it compiled is kept, or for `ms`: 0 is no time for it. */
const runs = (path: string, ms = 0, variables?: Variables): string =>
  said(running(path, ms), variables)

/** Starts a thread that says whether there was code for it. */
const thread = (path: string, options: string, ms = 5_000): string => {
  const file = join(directory, "thread.mjs")
  writeFileSync(
    file,
    `
      import { runProgram } from ${subject}
      console.log(runProgram(${urlOf(path)}, ${options}) ? "kept" : "compiled")
      ${lasting(path, ms)}
    `
  )
  return `new Worker(${JSON.stringify(file)}, { execArgv: [] })`
}

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
    expect(runs(path, 5_000)).toBe("8\ncompiled\n")
    const [place = "none"] = keptIn()
    expect(place).toContain("some-AAAA.cjs.code")
    // V8 says of what it holds which functions are compiled: those that were called.
    const least = readFileSync(place).length
    expect(runs(path)).toBe("8\nkept\n")
    forget()
    const all = many.map((_, i) => `f${i}(1)`).join(";")
    expect(runs(script("some-AAAA.cjs", `${many.join("\n")}\n${all}`), 5_000)).toBe("compiled\n")
    expect(readFileSync(keptIn()[0] ?? "").length).toBeGreaterThan(least * 2)
  })

  it("goes by itself where what is kept is torn, and keeps it anew", () => {
    forget()
    const path = script("torn-BBBB.cjs", "console.log(require('node:path').basename(skeinProgram))")
    expect(runs(path, 5_000)).toBe("torn-BBBB.cjs\ncompiled\n")
    const [place = "none"] = keptIn()
    const kept = readFileSync(place)
    for (const torn of [kept.subarray(0, kept.length - 7), kept.subarray(0, 3), Buffer.alloc(0)]) {
      writeFileSync(place, torn)
      expect(runs(path, 5_000)).toBe("torn-BBBB.cjs\ncompiled\n")
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
    expect(runs(path, 5_000)).toBe("compiled\nfalse\nkept\n")
  })

  it("is kept at its end where that comes first", () => {
    forget()
    const path = script(
      "ends-EEEE.cjs",
      "if (process.env.LASTS !== '1') setTimeout(() => process.exit(), 1)"
    )
    // It says nothing of its own, and ends before it is to be kept.
    expect(runs(path)).toBe("compiled\n")
    const [place = "none"] = keptIn()
    const first = statSync(place)
    expect(runs(path)).toBe("kept\n")
    expect(statSync(place).ino).toBe(first.ino)
    // It was no start, for all that is known: one that is makes it anew.
    expect(runs(path, 5_000, { LASTS: "1" })).toBe("kept\n")
    expect(statSync(place).mtimeMs).toBeGreaterThan(first.mtimeMs + 86_400_000)
  })

  it("is not kept for fresh before it says that it is ready", () => {
    forget()
    const path = script("wait-JJJJ.cjs", "exports.isReady = () => process.env.READY === '1'")
    expect(runs(path, 100)).toBe("compiled\n")
    const day = 86_400_000
    expect(statSync(keptIn()[0] ?? "").mtimeMs).toBeLessThan(Date.now() - day)
    expect(runs(path, 5_000, { READY: "1" })).toBe("kept\n")
    expect(statSync(keptIn()[0] ?? "").mtimeMs).toBeGreaterThan(Date.now() - day)
  })

  it("goes on where it cannot be kept, and says so to who asks", () => {
    forget()
    const path = script("deny-KKKK.cjs", "setTimeout(() => console.log('goes on'), 90)")
    runs(path)
    const [place = "none"] = keptIn()
    const asks = { NODE_DEBUG: "skein" }
    rmSync(place)
    mkdirSync(place)
    const atStart = done(running(path, 100), asks)
    expect(atStart.stdout).toBe("compiled\ngoes on\n")
    expect(atStart.stderr).toMatch(/SKEIN \d+: compiled code will not be kept: .*EISDIR/)
    // In a running node: the directory is none any more.
    const gone = script(
      "gone-LLLL.cjs",
      `const { rmSync, writeFileSync } = require("node:fs")
      const cache = require("node:module").getCompileCacheDir()
      rmSync(cache, { recursive: true })
      writeFileSync(cache, "")
      setTimeout(() => console.log("goes on"), 90)`
    )
    forget()
    const later = done(running(gone, 100), asks)
    expect(later.stdout).toBe("compiled\ngoes on\n")
    expect(later.stderr).toMatch(/SKEIN \d+: compiled code is not kept.*ENOTDIR/)
    forget()
  })

  it("removes what others have left for long", () => {
    forget()
    const path = script("many-with-name-MMMM.cjs", "")
    runs(path)
    const [place = "none"] = keptIn()
    rmSync(place)
    const directory = join(place, "..")
    const elsewhere = join(directory, "..", "v22.0.0-x64-0-0")
    mkdirSync(elsewhere)
    const days = (age: number) => new Date(Date.now() - age * 86_400_000)
    const old = [
      join(directory, "many-with-name-OLD1.cjs.code"),
      join(directory, "many-with-name-MMMM.cjs.code.7-0"),
      join(elsewhere, "many-with-name-OLD1.cjs.code")
    ]
    const left = [
      [31, join(directory, "many-OLD1.cjs.code")],
      [31, join(directory, "many-with-name-OLD1.cjs")],
      [31, join(directory, "0a1b2c3d")],
      [29, join(directory, "many-with-name-OLD2.cjs.code")],
      [0, join(directory, "many-with-name-OLD2.cjs.code.8-1")]
    ] as const
    for (const [age, file] of [...old.map((it) => [31, it] as const), ...left]) {
      writeFileSync(file, "")
      utimesSync(file, days(age), days(age))
    }
    expect(runs(path, 5_000)).toBe("compiled\n")
    expect([...old, ...left.map(([, it]) => it), place].filter((it) => existsSync(it))).toEqual([
      ...left.map(([, it]) => it),
      place
    ])
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

  it("is kept by one thread for all", () => {
    forget()
    const path = script("many-GGGG.cjs", "")
    const main = script("main-GGGG.cjs", "")
    const runsIt = (options: string, ms?: number) =>
      said(`
        import { Worker } from "node:worker_threads"
        runProgram(${urlOf(main)}, { keeps: false })
        ${thread(path, options, ms)}
      `)
    expect(runsIt("{ after: 20, keeps: false }", 100)).toBe("compiled\n")
    expect(keptIn()).toEqual([])
    expect(runsIt("{ after: 20 }")).toBe("compiled\n")
    expect(keptIn().map((it) => basename(it))).toEqual(["many-GGGG.cjs.code"])
    expect(runsIt("{ after: 20, keeps: false }", 100)).toBe("kept\n")
  })

  it("leaves the flags of the process as they are when it is kept", () => {
    forget()
    const path = script("flag-HHHH.cjs", "")
    // V8 says by this number which flags it is under.
    const watched = `
      import v8 from "node:v8"
      import { Script } from "node:vm"
      const { createCachedData } = Script.prototype
      const seen = new Set()
      Script.prototype.createCachedData = function () {
        seen.add(v8.cachedDataVersionTag())
        return createCachedData.call(this)
      }
      runProgram(${urlOf(path)}, { after: 20 })
      changeFlags()
      seen.clear()
      process.on("exit", () => console.log(seen.size, seen.has(v8.cachedDataVersionTag())))
      ${lasting(path, 5_000)}
    `
    expect(said(watched)).toBe("1 true\n")
    expect(runs(path)).toBe("kept\n")
  })

  it("is what a thread starts with that is started when flags have changed", () => {
    forget()
    const path = script("late-IIII.cjs", "")
    const restarted = `
      import { Worker } from "node:worker_threads"
      runProgram(${urlOf(script("main-IIII.cjs", ""))})
      changeFlags()
      ${thread(path, "{ after: 20 }")}
    `
    expect(said(restarted)).toBe("compiled\n")
    expect(said(restarted)).toBe("kept\n")
    expect(runs(path)).toBe("kept\n")
  })

  it("keeps it anew after a day", () => {
    forget()
    const path = script("aged-CCCC.cjs", "console.log(1)")
    runs(path, 5_000)
    const [place = "none"] = keptIn()
    const old = new Date(Date.now() - 25 * 3_600_000)
    utimesSync(place, old, old)
    expect(runs(path, 5_000)).toBe("1\nkept\n")
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
