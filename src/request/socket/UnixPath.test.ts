/** The files of unix sockets: whose they become, and that nothing else does. */
import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync
} from "node:fs"
import net from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { ownByName, ownPath } from "./UnixPath.ts"

let directory: string
let path: string
let server: net.Server
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "skein-unix-"))
  path = join(directory, "a.sock")
  server = net.createServer()
  await new Promise<void>((resolve) => server.listen(path, resolve))
})
afterEach(async () => {
  await new Promise<void>((resolve) => server.close(() => resolve()))
  rmSync(directory, { recursive: true, force: true })
})

const replaced = { message: expect.stringContaining("was put in the place of the socket") }
const modeOf = (file: string): number => statSync(file).mode & 0o777
const spec = (mode: number) => ({ path, mode, uid: undefined, gid: process.getgid?.() })

describe.each([
  ["by a handle", ownPath],
  ["by its name", ownByName]
] as const)("the file of a unix socket, %s", (_, own) => {
  it("gets its owner and its permissions", async () => {
    await own(spec(0o660))
    expect(modeOf(path)).toBe(0o660)
    await own(spec(0o600))
    expect(modeOf(path)).toBe(0o600)
  })

  it("is no other that somebody has put in its place by a link", async () => {
    const secret = join(directory, "secret")
    writeFileSync(secret, "s", { mode: 0o600 })
    unlinkSync(path)
    symlinkSync(secret, path)
    await expect(own(spec(0o666))).rejects.toMatchObject(replaced)
    expect(modeOf(secret)).toBe(0o600)
    unlinkSync(path)
    linkSync(secret, path)
    await expect(own(spec(0o666))).rejects.toMatchObject(replaced)
    expect(modeOf(secret)).toBe(0o600)
    expect(lstatSync(path).isFile()).toBe(true)
  })

  it("is no other socket that somebody has put in its place", async () => {
    const other = join(directory, "b.sock")
    const listening = net.createServer()
    await new Promise<void>((resolve) => listening.listen(other, resolve))
    chmodSync(other, 0o600)
    unlinkSync(path)
    linkSync(other, path)
    await expect(own(spec(0o666))).rejects.toMatchObject(replaced)
    expect(modeOf(other)).toBe(0o600)
    unlinkSync(path)
    symlinkSync(other, path)
    await expect(own(spec(0o666))).rejects.toMatchObject(replaced)
    expect(modeOf(other)).toBe(0o600)
    await new Promise<void>((resolve) => listening.close(() => resolve()))
  })
})

it("has no owner by its name where others may write to its directory", async () => {
  chmodSync(directory, 0o777)
  await expect(ownByName(spec(0o660))).rejects.toMatchObject({
    message: expect.stringContaining("others may write to its directory")
  })
  chmodSync(directory, 0o1777)
  await ownByName(spec(0o660))
  expect(modeOf(path)).toBe(0o660)
})
