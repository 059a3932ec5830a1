import { spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Exit, Scope } from "effect"
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"
import { lockDataDir, lockFileName } from "./DataDirLock.ts"

let dataDir: string
let path: string
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), "skein-lock-"))
  path = join(dataDir, lockFileName)
})
afterEach(() => rmSync(dataDir, { recursive: true, force: true }))

const lock = Effect.suspend(() => lockDataDir(dataDir, Date.now()))
const briefly = Effect.scoped(lock)
const run = Effect.runPromise

/** A process that holds the lock until it is killed. */
const holder = async () => {
  const script = `
    import { Effect } from "effect"
    import { lockDataDir } from ${JSON.stringify(new URL("./DataDirLock.ts", import.meta.url).href)}
    const held = Effect.andThen(
      lockDataDir(${JSON.stringify(dataDir)}, Date.now()),
      Effect.sync(() => console.log("locked"))
    )
    await Effect.runPromise(Effect.scoped(Effect.andThen(held, Effect.never)))
  `
  const child = spawn(process.execPath, ["--input-type=module", "--eval", script], {
    cwd: import.meta.dirname, // from where "effect" is found
    stdio: ["ignore", "pipe", "inherit"]
  })
  await once(child.stdout, "data")
  return child
}

describe("lockDataDir", () => {
  it("is held until its scope closes", async () => {
    const scope = await run(Scope.make())
    await run(Scope.extend(lock, scope))
    expect(JSON.parse(readFileSync(path, "utf8"))).toMatchObject({ pid: process.pid })
    expect(await run(Effect.flip(briefly))).toMatchObject({
      code: "locked",
      message: expect.stringContaining(`pid ${process.pid}`)
    })
    await run(Scope.close(scope, Exit.void))
    expect(existsSync(path)).toBe(false)
    await run(briefly)
  })

  it("takes over from a process that was killed and that nobody has reaped", async () => {
    // The shell becomes `sleep`, which never asks for the child it does not know of. The child ends
    // with our input, and not before that: a shell that is still one would reap it.
    const parent = spawn("sh", ["-c", "exec 3<&0; cat <&3 >&2 & echo $!; exec sleep 60"], {
      stdio: ["pipe", "pipe", "inherit"]
    })
    try {
      const [said] = await once(parent.stdout, "data")
      const pid = Number(String(said))
      const comm = () => readFileSync(`/proc/${parent.pid}/comm`, "utf8")
      await vi.waitFor(() => expect(comm()).toBe("sleep\n"))
      parent.stdin.end()
      await vi.waitFor(() => expect(readFileSync(`/proc/${pid}/stat`, "utf8")).toContain(") Z "))
      writeFileSync(path, JSON.stringify({ pid, started: "" }))
      await run(briefly)
    } finally {
      parent.kill("SIGKILL")
    }
  })

  it("names the other process that holds it, and takes over when that was killed", async () => {
    const child = await holder()
    expect(await run(Effect.flip(briefly))).toMatchObject({
      code: "locked",
      path,
      message: expect.stringContaining(`pid ${child.pid}`)
    })
    child.kill("SIGKILL")
    await once(child, "exit")
    expect(existsSync(path)).toBe(true)
    await run(briefly)
    expect(existsSync(path)).toBe(false)
  })

  it("lets one of many take a stale lock over", async () => {
    writeFileSync(path, JSON.stringify({ pid: 2 ** 22 + 1, started: "" }))
    const scope = await run(Scope.make())
    const results = await run(
      Effect.all(
        Array.from({ length: 10 }, () => Effect.exit(Scope.extend(lock, scope))),
        { concurrency: "unbounded" }
      )
    )
    expect(results.filter(Exit.isSuccess)).toHaveLength(1)
    await run(Scope.close(scope, Exit.void))
  })

  it("is not fooled by a pid that is used again", async () => {
    // Our own pid, as in a container where every node is pid 1; and, where the system tells when
    // a process began, a neighbour's.
    const neighbours = existsSync("/proc/self/stat") ? [process.ppid] : []
    for (const pid of [process.pid, ...neighbours]) {
      writeFileSync(path, JSON.stringify({ pid, started: "earlier-boot/1" }))
      await run(briefly)
    }
  })

  it("takes over what a dying process left half-written, once it is old", async () => {
    for (const content of ["", "{", "[]", "null", '{"pid":"1"}', '{"pid":-1}']) {
      writeFileSync(path, content)
      expect(await run(Effect.flip(briefly)), content).toMatchObject({ code: "locked" })
      utimesSync(path, 0, 0)
      await run(briefly)
    }
    writeFileSync(path, JSON.stringify({ pid: 2 ** 22 + 1, started: "" }))
    writeFileSync(`${path}.takeover`, "")
    expect(await run(Effect.flip(briefly))).toMatchObject({
      message: expect.stringContaining("try again")
    })
    utimesSync(`${path}.takeover`, 0, 0)
    await run(briefly)
    expect(existsSync(`${path}.takeover`)).toBe(false)
  })

  it("says when the directory is not there", async () => {
    rmSync(dataDir, { recursive: true })
    expect(await run(Effect.flip(briefly))).toMatchObject({ code: "inaccessible", path })
  })
})
