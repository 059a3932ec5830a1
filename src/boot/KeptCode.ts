/**
 * Runs a program of the build with the code that earlier runs of it have compiled. Node's own cache of
 * compiled code keeps what is compiled as a file is loaded, and no function that is compiled when it is
 * first called: nearly all of those that a start needs, some 10 % of its processor time. V8 can give those
 * too, of scripts and not of ES modules, so such a program is one script.
 *
 * What is kept lies beside Node's own, in the directory of this user that main.ts names, which also says
 * of which version and flags of V8 it is.
 */
import { readFileSync, rmSync } from "node:fs"
import module, { createRequire } from "node:module"
import { basename, join } from "node:path"
import { performance } from "node:perf_hooks"
import { fileURLToPath } from "node:url"
import { constants, Script } from "node:vm"
import { getEnvironmentData, setEnvironmentData } from "node:worker_threads"
import zlib from "node:zlib"
import { headerNow, retell } from "./CodeHeader.ts"
import { isFresh, isThere, orGoOn, readKept, removeOld, writeKept } from "./KeptFiles.ts"

/**
 * When it is kept, ms after the start: before a collection drops what only a start needs, which has to be unused
 * for 10 s (dropUnusedCode).
 */
const keepAfter = 8_000

/**
 * Where the program was not ready by then, or the thread busy for half of that time, it is kept after as long
 * again, so often at most: among many that start on one host one may still be loading by then, and would
 * leave half of it to all others.
 */
const mostLooks = 30

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

/** What a script exports. */
interface Program {
  /** Whether its start is over and was one: it may end with a wrong config, or say how it is used. True. */
  readonly isReady?: () => boolean
}

interface Keeping {
  readonly script: Script
  readonly place: Place
  readonly after: number
  readonly isReady: () => boolean
}

const keepLater = ({ after, isReady, place, script }: Keeping): void => {
  const keep = (fresh: boolean): void => {
    const code = script.createCachedData()
    retell(code, headerNow(), place.header)
    writeKept(place.path, code, fresh)
  }
  const attempt = (act: () => void) =>
    orGoOn("compiled code is not kept, so that each start compiles anew", act)
  let looks = 0
  let before = performance.eventLoopUtilization()
  const look = (): void => {
    const { utilization } = performance.eventLoopUtilization(before)
    const isLast = ++looks >= mostLooks
    if (isReady() && (utilization < 0.5 || isLast)) {
      // One that ends days later has dropped what only a start needs.
      process.off("exit", atEnd)
      attempt(() => {
        // Of many that were started at once the first does it for all.
        if (isFresh(place.path)) return
        keep(true)
        removeOld(place.path)
      })
    } else if (!isLast) {
      before = performance.eventLoopUtilization()
      timer = setTimeout(look, after).unref()
    }
  }
  // What ends before leaves something as well where there is nothing, and the next makes it anew: it may have
  // been no start at all.
  const atEnd = (): void => {
    clearTimeout(timer)
    attempt(() => {
      if (!isThere(place.path)) keep(false)
    })
  }
  let timer = setTimeout(look, after).unref()
  process.on("exit", atEnd)
}

/** Undefined: there is none that fits. */
const codeIn = ({ header, path }: Place): Buffer | undefined => {
  const code = readKept(path)
  if (code !== undefined) retell(code, header, headerNow())
  return code
}

/** Apart, so that what was read is garbage before the program begins to fill memory with what lives on. */
const compile = (filename: string, place: Place | undefined): Script =>
  new Script(readFileSync(filename, "latin1"), {
    filename,
    cachedData: place === undefined ? undefined : codeIn(place),
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
  const exported: { exports: Program } = { exports: {} }
  if (place !== undefined && keeps) {
    orGoOn("compiled code will not be kept", () => {
      if (isKept && isFresh(place.path)) return
      // What is there is torn, or of others: nobody is to take it for fresh.
      if (!isKept) rmSync(place.path, { force: true })
      keepLater({ script, place, after, isReady: () => exported.exports.isReady?.() ?? true })
    })
  }
  script.runInThisContext()(createRequire(program), exported, exported.exports, program.href)
  return isKept
}
