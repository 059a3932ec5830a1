import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import { afterAll, describe, expect, it, vi } from "vitest"
import { AdminToken } from "./AdminToken.ts"
import { controlPlaces, controlToken, shortSocketDirectory } from "./ControlPlace.ts"

const directory = mkdtempSync(join(tmpdir(), "skein-token-"))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

describe("the admin token", () => {
  const path = controlToken(directory)
  const kept = (token: AdminToken) => {
    Effect.runSync(token.keep)
    return readFileSync(path, "utf8").trim()
  }

  it("is made once, for its owner's eyes, and holds over restarts", () => {
    const token = new AdminToken(path)
    expect(token.isHeldBy("Bearer ")).toBe(false)
    const text = kept(token)
    expect(text).toMatch(/^skein-admin-[\w-]{43}$/)
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(token.isHeldBy(`Bearer ${text}`)).toBe(true)
    expect(token.isHeldBy(`bearer  ${text}`)).toBe(true)
    expect(kept(new AdminToken(path))).toBe(text)
  })

  it.each(["", "Bearer", "Bearer x", "Basic ~", "~", "Bearer ~x", "Bearer ~ x"])(
    "%j is not it",
    (field) => {
      const token = new AdminToken(path)
      const text = kept(token)
      expect(token.isHeldBy(field.replace("~", text))).toBe(false)
    }
  )

  it("is read again when its file was changed, or may have been, and only then", () => {
    const token = new AdminToken(path)
    kept(token)
    // It has just been made.
    const made = new AdminToken(path)
    kept(made)
    expect([token.isKept, made.isKept]).toEqual([false, false])
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 60_000 })
    try {
      kept(made)
      expect(made.isKept).toBe(true)
      chmodSync(path, 0o644)
      expect(made.isKept).toBe(false)
      chmodSync(path, 0o600)
      kept(made)
      expect(made.isKept).toBe(true)
      rmSync(path)
      expect(made.isKept).toBe(false)
    } finally {
      vi.useRealTimers()
    }
  })

  it("is another one when it was removed, damaged, or open to others", () => {
    const token = new AdminToken(path)
    const texts = [kept(token)]
    for (const harm of [
      () => rmSync(path),
      () => writeFileSync(path, "x"),
      () => chmodSync(path, 0o644)
    ]) {
      harm()
      texts.push(kept(token))
    }
    expect(new Set(texts).size).toBe(4)
    expect(texts.map((text) => token.isHeldBy(`Bearer ${text}`))).toEqual([
      false,
      false,
      false,
      true
    ])
  })
})

describe("the control socket's place", () => {
  const first = (dataDir: string) => controlPlaces(dataDir, "1000")[0] ?? ""

  it("is in the data directory, or else at one of its own in /tmp", () => {
    const [inside, short = "", ...others] = controlPlaces("/var/lib/skein", "1000")
    expect([inside, others]).toEqual(["/var/lib/skein/admin.sock", []])
    expect(short).toMatch(/^\/tmp\/skein-1000\/[0-9a-f]{32}\.sock$/)
    expect(controlPlaces("/var/lib/skein/b", "1000")[1]).not.toBe(short)
  })

  it("is short where the directory's path is long", () => {
    const long = `/srv/${"x".repeat(200)}`
    expect(first(long).startsWith(`${shortSocketDirectory("1000")}/`)).toBe(true)
    expect(Buffer.byteLength(first(long))).toBeLessThanOrEqual(103)
    expect(first(long)).toBe(controlPlaces(long, "1000").at(-1))
  })

  it("counts bytes, not letters", () => {
    expect(first(`/srv/${"ü".repeat(50)}`)).toContain("/tmp/")
    expect(first(`/srv/${"u".repeat(50)}`)).toContain("/srv/")
  })
})
