/** The commands and what goes wrong at start: what an operator sees. */
import { chmodSync, existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import type { MemberStatus } from "../../src/admin/MemberModel.ts"
import type { PeerStatus } from "../../src/admin/PeerModel.ts"
import { type App, httpApp } from "../fixtures/Apps.ts"
import { type Host, root, skein, TestMesh } from "../fixtures/Mesh.ts"
import { freePort, run, start, stopAll, until } from "../fixtures/Processes.ts"
import { program } from "../fixtures/Programs.ts"

const mesh = new TestMesh()
let a: Host
let b: Host
let app: App

beforeAll(async () => {
  app = await httpApp("echo")
  a = await mesh.first("host-a")
  b = await mesh.join("host-b", { services: [{ name: "echo", address: app.address }] })
  await until("host-a knows echo", async () =>
    JSON.stringify(await a.api("services")).includes("echo") ? true : undefined
  )
})

afterAll(async () => {
  await mesh.stop()
  await app.close()
  await stopAll()
})

describe("looking", () => {
  it.each(["status", "members", "peers", "services", "links", "endpoints echo"])(
    "skein %s: a table for people, JSON for programs",
    async (words) => {
      const table = await skein(...words.split(" "), "--admin", a.admin)
      expect(table.code).toBe(0)
      expect(table.stdout).toMatch(/host-[ab]|echo/)
      const json = await skein(...words.split(" "), "-o", "json", "--admin", a.admin)
      expect(json.code).toBe(0)
      expect(JSON.stringify(JSON.parse(json.stdout))).toMatch(/host-[ab]|echo/)
    }
  )

  it("--watch keeps showing until interrupted", async () => {
    const watching = start(process.execPath, [
      ...[join(root, "src/main.ts"), "members", "--watch", "--admin", a.admin]
    ])
    await until("shown twice", () =>
      (watching.output().match(/host-b/g) ?? []).length >= 2 ? true : undefined
    )
    await watching.stop("SIGINT")
  })

  it("doctor finds a healthy mesh healthy, and says what is wrong with a sick one", async () => {
    const healthy = await skein("doctor", "--admin", a.admin)
    expect(healthy.stdout).toContain("√")
    expect(healthy.stdout).not.toContain("×")
    expect(healthy.code).toBe(0)
    const nobody = await skein("doctor", "--admin", `127.0.0.1:${await freePort()}`)
    expect(nobody.stdout).toContain("×")
    expect(nobody.code).toBe(1)
  })

  it("a node that is not there: one clear line, exit code 1", async () => {
    const port = await freePort()
    const { code, stderr, stdout } = await skein("status", "--admin", `127.0.0.1:${port}`)
    expect(code).toBe(1)
    expect(stdout).toBe("")
    expect(stderr).toContain(`127.0.0.1:${port}`)
    expect(stderr).not.toMatch(/\bat .*\.ts:\d+/)
  })

  it("wrong usage: exit code 2", async () => {
    expect((await skein("endpoints")).code).toBe(2)
    expect((await skein("nonsense")).code).toBe(2)
    expect((await skein("up", "--no-such-flag")).code).toBe(2)
  })
})

describe("the admin address", () => {
  it("serves /live, /ready and /metrics that Prometheus can read", async () => {
    expect((await fetch(`http://${a.admin}/live`)).status).toBe(200)
    expect((await fetch(`http://${a.admin}/ready`)).status).toBe(200)
    await run(program("curl"), ["-sS", "-x", a.proxy, "http://echo.mesh/"])
    const text = await (await fetch(`http://${a.admin}/metrics`)).text()
    expect(text).toMatch(/^# TYPE skein_requests_total counter$/m)
    expect(text).toMatch(/^skein_requests_total\{[^}]*service="echo"[^}]*\} \d+/m)
    expect(text).toMatch(/^skein_request_duration_seconds_bucket\{/m)
  })

  it("refuses a browser that was tricked into asking", async () => {
    const rebound = await run(program("curl"), [
      "-sS",
      "-i",
      "-H",
      "Host: evil.example",
      `http://${a.admin}/api/v1/status`
    ])
    expect(rebound.stdout).toMatch(/^HTTP\/1.1 (403|421|400)/)
    const forged = await run(program("curl"), [
      ...["-sS", "-i", "-X", "POST", "-H", "Origin: http://evil.example"],
      `http://${a.admin}/api/v1/drain`
    ])
    expect(forged.stdout).toMatch(/^HTTP\/1.1 403/)
  })
})

describe("skein peers", () => {
  const rowOf = async (host: Host, ...words: ReadonlyArray<string>) => {
    const began = performance.now()
    const { stdout } = await skein("peers", "-o", "json", "--admin", a.admin, ...words)
    const all = JSON.parse(stdout) as ReadonlyArray<PeerStatus>
    const row = all.find(({ node }) => node === host.name)
    if (row === undefined) throw new Error(stdout)
    return { ...row, tookMs: performance.now() - began }
  }

  it("a peer in step says so itself, and its comparison is remembered", async () => {
    const row = await until("host-b is in step", async () => {
      const row = await rowOf(b)
      return row.sync === "synced" && row.answerMs !== null ? row : undefined
    })
    expect(row).toMatchObject({ state: "alive", connected: true, detail: null, newer: null })
    expect(row.equalMs).toBeLessThan(1_000)
    expect(row.software).toMatch(/^\d+\.\d+\.\d+/)
    expect(row.record?.version).toBeGreaterThanOrEqual(0)
    expect(await rowOf(a)).toMatchObject({ self: true, sync: "synced", answerMs: null })
    const members = (await a.api("members")) as ReadonlyArray<MemberStatus>
    const checked = members.find(({ node }) => node === b.name)?.record?.checkedMs
    expect(checked).toEqual(expect.any(Number))
    const metricsOf = async (host: Host) => (await fetch(`http://${host.admin}/metrics`)).text()
    // The newcomer has compared before it told anything of itself.
    expect(await metricsOf(b)).toMatch(
      /^skein_catalogue_record_age_seconds_count\{way="comparison"\} [1-9]/m
    )
    expect(await metricsOf(a)).toMatch(/^skein_catalogue_last_equal_timestamp_seconds [1-9]/m)
  })

  it("a peer that was stopped is out of reach, and tells how late it was when it goes on", async () => {
    b.process?.child.kill("SIGSTOP")
    const stopped = await rowOf(b)
    expect(stopped).toMatchObject({ sync: "unreachable", answerMs: null, load: null, lateMs: null })
    expect(stopped.detail).toMatch(/no answer within 1 s|suspect/)
    // Bounded, with the start of the command.
    expect(stopped.tookMs).toBeLessThan(6_000)
    await until("it is found dead", async () =>
      (await rowOf(b)).state === "dead" ? true : undefined
    )
    expect(await rowOf(b, "--all")).toMatchObject({ sync: "unreachable" })
    b.process?.child.kill("SIGCONT")
    const back = await until("it is in step again", async () => {
      const row = await rowOf(b)
      return row.sync === "synced" && row.load !== null ? row : undefined
    })
    expect([back.state, back.load]).toEqual(["alive", "late"])
    expect(back.lateMs).toBeGreaterThan(1_000)
  })
})

describe("what goes wrong at start is said, with exit code 1", () => {
  const directory = join(mesh.directory, "wrong")
  const upWith = async (text: string, name = "skein.yaml") => {
    mkdirSync(directory, { recursive: true })
    const path = join(directory, name)
    writeFileSync(path, text)
    return skein("up", "--config", path)
  }

  it("an unknown key: file, line, column and the key that was meant", async () => {
    const { code, stderr } = await upWith(
      "node:\n  name: x\npolicies:\n  pay:\n    timout: { request: 2s }\n"
    )
    expect(code).toBe(1)
    expect(stderr).toMatch(/skein\.yaml:5:5/)
    expect(stderr).toContain("timout")
    expect(stderr).toMatch(/timeout/)
  })

  it("a wrong value: the value and what was expected", async () => {
    const { code, stderr } = await upWith(
      "node: { name: x }\npolicies:\n  pay: { timeout: { request: soon } }\n"
    )
    expect(code).toBe(1)
    expect(stderr).toMatch(/skein\.yaml:3:\d+/)
    expect(stderr).toContain("soon")
  })

  it("a file that is not there", async () => {
    const { code, stderr } = await skein("up", "--config", join(directory, "none.yaml"))
    expect(code).toBe(1)
    expect(stderr).toContain("none.yaml")
  })

  it("a data directory without identity: says init or join", async () => {
    const { code, stderr } = await upWith(
      `node: { name: x, dataDir: ${join(directory, "empty")}, listen: [/ip4/127.0.0.1/tcp/0] }\nadmin: 127.0.0.1:${await freePort()}\n`
    )
    expect(code).toBe(1)
    expect(stderr).toMatch(/skein init/)
    expect(stderr).toMatch(/join/)
  })

  it("init never overwrites an identity", async () => {
    const { code, stderr } = await skein("init", "--data-dir", a.dataDir)
    expect(code).toBe(1)
    expect(stderr).toContain(a.dataDir)
  })

  it("a port in use, and nothing stays half-started", async () => {
    const port = await freePort()
    const taken = createServer()
    await new Promise<void>((resolve) => taken.listen(port, "127.0.0.1", resolve))
    const admin = await freePort()
    const dataDir = join(directory, "ports")
    await skein("init", "--data-dir", dataDir)
    const config = (where: string) =>
      `node: { name: x, dataDir: ${dataDir}, listen: [/ip4/127.0.0.1/tcp/0] }\nadmin: 127.0.0.1:${admin}\noutbound: { http: ${where} }\n`
    const inUse = await upWith(config(`127.0.0.1:${port}`))
    expect(inUse.code).toBe(1)
    expect(inUse.stderr).toContain(String(port))
    expect(inUse.stderr).toMatch(/in use/i)
    const notLocal = await upWith(config("{ listen: 192.0.2.1:4140, allowRemote: true }"))
    expect(notLocal.code).toBe(1)
    expect(notLocal.stderr).toContain("192.0.2.1")
    await new Promise((resolve) => taken.close(resolve))
    await expect(fetch(`http://127.0.0.1:${admin}/live`)).rejects.toThrow()
  })

  it("an unreadable key", async () => {
    const dataDir = join(directory, "key")
    await skein("init", "--data-dir", dataDir)
    const files = (await run("find", [dataDir, "-name", "*.key"])).stdout.trim().split("\n")
    for (const file of files) {
      chmodSync(file, 0o600)
      writeFileSync(file, "not a key")
    }
    const { code, stderr } = await upWith(
      `node: { name: x, dataDir: ${dataDir}, listen: [/ip4/127.0.0.1/tcp/0] }\nadmin: 127.0.0.1:${await freePort()}\n`
    )
    expect(code).toBe(1)
    expect(stderr).toMatch(/\.key/)
  })
})

describe("killed at any moment", () => {
  it("restarts with the same identity and knows the mesh at once", async () => {
    const before = (await b.api("status")) as { peer: string }
    for (let i = 0; i < 3; i++) {
      await b.kill()
      await b.up()
    }
    expect(await b.api("status")).toMatchObject({ peer: before.peer })
    expect(JSON.stringify(await b.api("members"))).toContain("host-a")
  })

  it("while it starts or joins, too: whatever it has written by then, the next start goes on", async () => {
    const directory = join(mesh.directory, "brief")
    const config = `${directory}.yaml`
    writeFileSync(
      config,
      `node: { name: brief, dataDir: ${directory}, listen: [/ip4/127.0.0.1/tcp/${await freePort()}] }
admin: 127.0.0.1:${await freePort()}
outbound: { http: "off" }
`
    )
    /** Every file as it is, by its time of writing. */
    const written = () =>
      existsSync(directory)
        ? readdirSync(directory)
            .map(
              (name) =>
                `${name} ${statSync(join(directory, name), { throwIfNoEntry: false })?.mtimeMs}`
            )
            .join()
        : ""
    const token = await a.invite()
    const begin = () =>
      start(process.execPath, [...[join(root, "src/main.ts"), "join", token, "--config", config]])
    /** Killed when it has written for the nth time. */
    for (let writes = 1; writes <= 6; writes++) {
      const brief = begin()
      for (let n = 0; n < writes; n++) {
        const before = written()
        const state = await until("it has written or is up", () =>
          written() !== before ? "written" : brief.output().includes("is up in") ? "up" : undefined
        )
        if (state === "up") break
      }
      await brief.stop("SIGKILL")
    }
    const last = begin()
    await until("it is up", () => (last.output().includes("is up in") ? true : undefined))
    expect(await last.stop()).toBe(0)
  })
})
