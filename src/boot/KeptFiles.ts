/**
 * Files of compiled code. Each is executed as it is found, so it goes by its checksum: V8 looks at none. Where
 * one cannot be read, written or removed, starting takes longer, and that is all: `NODE_DEBUG=skein` says why.
 */
import {
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync
} from "node:fs"
import { basename, dirname, join } from "node:path"
import { debuglog } from "node:util"
import { threadId } from "node:worker_threads"
import zlib from "node:zlib"

/** What is older is made anew, since other functions may be needed by now, ms. */
const freshFor = 86_400_000

/** What another build or Node has left is removed when it is older, ms: two may be used on one host in turn. */
const otherFor = 30 * 86_400_000

/** What a process that was killed as it wrote has left, ms. */
const unfinishedFor = 3_600_000

const checksumBytes = 4

const debug = debuglog("skein")

/** Does what a node can do without. */
export const orGoOn = (what: string, act: () => void): void => {
  try {
    act()
  } catch (cause) {
    debug("%s: %s", what, cause)
  }
}

/** Undefined: there is none, or it is torn. */
export const readKept = (path: string): Buffer | undefined => {
  let kept: Buffer | undefined
  orGoOn("no compiled code was read", () => {
    kept = readFileSync(path)
  })
  if (kept === undefined || kept.length <= checksumBytes) return undefined
  const code = kept.subarray(checksumBytes)
  return zlib.crc32(code) === kept.readUInt32LE(0) ? code : undefined
}

/** Milliseconds since it was kept; infinite: there is none. */
const ageOf = (path: string): number => {
  const since = statSync(path, { throwIfNoEntry: false })?.mtimeMs
  return since === undefined ? Number.POSITIVE_INFINITY : Date.now() - since
}

export const isFresh = (path: string): boolean => ageOf(path) < freshFor
export const isThere = (path: string): boolean => ageOf(path) < Number.POSITIVE_INFINITY

/**
 * In one step: others start with it meanwhile, and may keep theirs at the same moment. With `fresh` false it
 * is used until a later start makes it anew.
 */
export const writeKept = (path: string, code: Buffer, fresh: boolean): void => {
  const checksum = Buffer.alloc(checksumBytes)
  checksum.writeUInt32LE(zlib.crc32(code), 0)
  const beside = `${path}.${process.pid}-${threadId}`
  try {
    writeFileSync(beside, Buffer.concat([checksum, code]), { mode: 0o600 })
    const then = new Date(Date.now() - 2 * freshFor)
    if (!fresh) utimesSync(beside, then, then)
    renameSync(beside, path)
  } catch (cause) {
    // A disk that is full, or may not be written.
    orGoOn("half of it is left", () => rmSync(beside, { force: true }))
    throw cause
  }
}

/** Of what other builds have kept of the same program, and of other versions of Node, beside this. */
export const removeOld = (path: string): void => {
  const name = basename(path)
  const stem = name.slice(0, name.lastIndexOf("-") + 1)
  const all = dirname(dirname(path))
  for (const directory of readdirSync(all, { withFileTypes: true })) {
    if (!directory.isDirectory()) continue
    for (const other of readdirSync(join(all, directory.name))) {
      if (!other.startsWith(stem)) continue
      const rest = /^[A-Z0-9]+\.cjs\.code(\.[0-9-]+)?$/.exec(other.slice(stem.length))
      const file = join(all, directory.name, other)
      if (rest === null || file === path) continue
      const age = ageOf(file)
      if (
        age < Number.POSITIVE_INFINITY &&
        age > (rest[1] === undefined ? otherFor : unfinishedFor)
      ) {
        rmSync(file, { force: true })
      }
    }
  }
}
