/**
 * Runs a program of the build with the code that earlier runs of it have compiled. Node's own cache of
 * compiled code keeps what is compiled as a file is loaded, and no function that is compiled when it is
 * first called: nearly all of those that a start needs, some 10 % of its processor time. V8 can give those
 * too, of scripts and not of ES modules, so such a program is one script.
 *
 * What is kept lies beside Node's own, in the directory of this user that main.ts names, which also says
 * of which version and flags of V8 it is. It is executed as it is found, so it goes by its checksum: V8
 * looks at none. Where nothing can be kept, starting takes longer, and that is all.
 */
import { readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs"
import module, { createRequire } from "node:module"
import { basename, join } from "node:path"
import { performance } from "node:perf_hooks"
import { fileURLToPath } from "node:url"
import { constants, Script } from "node:vm"
import { getEnvironmentData, setEnvironmentData, threadId } from "node:worker_threads"
import zlib from "node:zlib"
import { headerNow, retell } from "./CodeHeader.ts"

/**
 * When it is kept, ms after the start, or at an end that comes sooner: before a collection drops what only a
 * start needs, which has to be unused for 10 s (dropUnusedCode).
 */
const keepAfter = 8_000

/**
 * Where the thread was busy for half of that time, it is kept after as long again, so often at most: among
 * many that start on one host one may still be loading by then, and would leave half of it to all others.
 */
const mostLooks = 30

/** What is older is made anew, since other functions may be needed by now, ms. */
const freshFor = 86_400_000

const checksumBytes = 4

/** Where this process keeps code, and what V8 puts before it. */
interface Home {
  readonly directory: string
  /** As it was when the process began. */
  readonly header: Uint8Array
}

const isHome = (it: unknown): it is Home =>
  typeof it === "object" &&
  it !== null &&
  "directory" in it &&
  typeof it.directory === "string" &&
  "header" in it &&
  it.header instanceof Uint8Array

const homeKey = "skein: where compiled code is kept"

/**
 * As its first thread found it, and told to all others: one that is started when flags have changed would
 * find another, where no process begins. Undefined: there is no place.
 */
const homeOfProcess = (): Home | undefined => {
  const told: unknown = getEnvironmentData(homeKey)
  if (isHome(told)) return told
  const directory = module.getCompileCacheDir?.()
  // Older ones of Node 22 have no such function, and so nothing that is kept.
  if (directory === undefined || zlib.crc32 === undefined) return undefined
  const home = { directory, header: headerNow() }
  setEnvironmentData(homeKey, home)
  return home
}

/** Of a program, as its name says, which has a hash of the text in it. */
interface Place {
  readonly path: string
  readonly header: Uint8Array
}

const placeOf = (program: string): Place | undefined => {
  const home = homeOfProcess()
  if (home === undefined) return undefined
  return { path: join(home.directory, `${basename(program)}.code`), header: home.header }
}

/** Undefined: there is none, or it is torn. */
const readKept = ({ header, path }: Place): Buffer | undefined => {
  let kept: Buffer
  try {
    kept = readFileSync(path)
  } catch {
    return undefined
  }
  if (kept.length <= checksumBytes) return undefined
  const code = kept.subarray(checksumBytes)
  if (zlib.crc32(code) !== kept.readUInt32LE(0)) return undefined
  retell(code, header, headerNow())
  return code
}

/** In one step: others start with it meanwhile, and may keep theirs at the same moment. */
const writeKept = ({ header, path }: Place, code: Buffer): void => {
  retell(code, headerNow(), header)
  const checksum = Buffer.alloc(checksumBytes)
  checksum.writeUInt32LE(zlib.crc32(code), 0)
  const beside = `${path}.${process.pid}-${threadId}`
  try {
    writeFileSync(beside, Buffer.concat([checksum, code]), { mode: 0o600 })
    renameSync(beside, path)
  } catch {
    // A disk that is full, or may not be written: the next start compiles again.
    rmSync(beside, { force: true })
  }
}

/** Milliseconds since it was kept; infinite: it is not. */
const ageOf = ({ path }: Place): number => {
  const since = statSync(path, { throwIfNoEntry: false })?.mtimeMs
  return since === undefined ? Number.POSITIVE_INFINITY : Date.now() - since
}

const keepLater = (script: Script, place: Place, after: number): void => {
  let looks = 0
  let before = performance.eventLoopUtilization()
  const look = (): void => {
    const { utilization } = performance.eventLoopUtilization(before)
    if (utilization < 0.5 || ++looks >= mostLooks) {
      keep()
      return
    }
    before = performance.eventLoopUtilization()
    timer = setTimeout(look, after).unref()
  }
  const keep = (): void => {
    clearTimeout(timer)
    // One that ends days later has dropped what only a start needs.
    process.off("exit", keep)
    // Of many that were started at once the first does it for all.
    if (ageOf(place) < freshFor) return
    writeKept(place, script.createCachedData())
  }
  let timer = setTimeout(look, after).unref()
  // One that ends before leaves something as well.
  process.on("exit", keep)
}

/** Apart, so that what was read is garbage before the program begins to fill memory with what lives on. */
const compile = (filename: string, place: Place | undefined): Script =>
  new Script(readFileSync(filename, "latin1"), {
    filename,
    cachedData: place === undefined ? undefined : readKept(place),
    importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER
  })

export interface RunOptions {
  /** When what it compiles is kept, ms after the start: `keepAfter`. */
  readonly after?: number
  /** Whether it is: true. Of threads that run the same, one is enough. */
  readonly keeps?: boolean
}

/** Runs a script of the build, whose text is in ASCII, and a function of these. Whether there was code for it. */
export const runProgram = (program: URL, options: RunOptions = {}): boolean => {
  const { after = keepAfter, keeps = true } = options
  const filename = fileURLToPath(program)
  const place = placeOf(filename)
  const script = compile(filename, place)
  const isKept = script.cachedDataRejected === false
  if (place !== undefined && keeps && !(isKept && ageOf(place) < freshFor)) {
    // What is there is torn, or of others: nobody is to take it for fresh.
    if (!isKept) rmSync(place.path, { force: true })
    keepLater(script, place, after)
  }
  const exported = { exports: {} }
  script.runInThisContext()(createRequire(program), exported, exported.exports, program.href)
  return isKept
}
