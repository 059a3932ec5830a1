/**
 * Puts back what is missing in the data directory of a running node, which has it all in memory: a
 * directory that was deleted costs nobody an identity. Nothing is written into one that is not ours:
 * another file system than at the start (a volume that is not mounted any more, and the keys would
 * lie below it), or the identity of another node.
 */
import { existsSync, statSync } from "node:fs"
import { stat } from "node:fs/promises"
import { dirname, join, resolve } from "node:path"
import { Effect } from "effect"
import type { NodeIdentity } from "../trust/NodeIdentity.ts"
import { foreign, identityPaths, isStored, saveIdentity } from "./DataDir.ts"
import { lockFileName, renewLock } from "./DataDirLock.ts"
import { DataDirError, ensureDirectory, inaccessible, systemCode } from "./KeyFile.ts"
import { readKeyFile, writeKeyFile } from "./SigningKeyFile.ts"

const deviceOf = (path: string): number | undefined =>
  statSync(path, { throwIfNoEntry: false })?.dev

/** Changes when another one is there, or something else in it; the code of the failure where none is. */
const seen = async (path: string): Promise<string> => {
  try {
    const { dev, ino, mtimeMs } = await stat(path)
    return `${dev}/${ino}/${mtimeMs}`
  } catch (cause) {
    return systemCode(cause)
  }
}

/** Of so many looks at a directory that is the same one is at each file. */
const wholeLook = 6

export class DataDirCare {
  readonly #dataDir: string
  readonly #device: number | undefined
  /** The root key may be kept elsewhere: it is put back only where it was lost with the rest. */
  #hadRootKey: boolean
  /** As it was at the last look. */
  #directory = ""
  /** Looks since then at which it had not changed. */
  #sameLooks = 0
  #seen = ""

  /** At the start, when all is in order. */
  constructor(dataDir: string) {
    this.#dataDir = resolve(dataDir)
    this.#device = deviceOf(this.#dataDir)
    this.#hadRootKey = existsSync(identityPaths(dataDir).rootKey)
  }

  /**
   * Changes when anything may be missing. Asks the disk without waiting for it: for the directory alone, which changes
   * with every file that is made, removed or replaced in it, and for the files where it has, and each sixth time, since
   * they may be written to as they are.
   */
  readonly look: Effect.Effect<string> = Effect.promise(async () => {
    const directory = await seen(this.#dataDir)
    this.#sameLooks = directory === this.#directory ? this.#sameLooks + 1 : 0
    this.#directory = directory
    if (this.#sameLooks % wholeLook > 0) return this.#seen
    const { identity, nodeKey, rootKey } = identityPaths(this.#dataDir)
    const lock = join(this.#dataDir, lockFileName)
    const files = await Promise.all([identity, nodeKey, rootKey, lock].map(seen))
    // Without when the directory changed: what is replaced in it may be none of these.
    this.#seen = [directory.replace(/\/[^/]*$/, ""), ...files].join(" ")
    return this.#seen
  })

  /** Names what was missing and is there again. `now`: wall clock, ms. */
  mend(identity: NodeIdentity, now: number): Effect.Effect<ReadonlyArray<string>, DataDirError> {
    const paths = identityPaths(this.#dataDir)
    return Effect.gen(this, function* () {
      // The next look is at everything.
      this.#directory = ""
      const missing: Array<string> = []
      yield* this.#ensurePlace
      const nodeKey = yield* readKeyFile(paths.nodeKey)
      // Before its certificate: what is another node's is not damaged, and not to be removed.
      if (nodeKey?.publicKey.equals(identity.privateKey.publicKey) === false) {
        return yield* foreign(this.#dataDir)
      }
      const stored = yield* isStored(this.#dataDir, identity)
      if (nodeKey === undefined) {
        if (!stored && this.#hadRootKey && identity.rootKey !== undefined) {
          if (!existsSync(paths.rootKey)) {
            yield* writeKeyFile(paths.rootKey, identity.rootKey)
            missing.push("root.key")
          }
        }
        yield* writeKeyFile(paths.nodeKey, identity.privateKey)
        missing.push("node.key")
      }
      if (!stored) {
        // One that is there is an older one: what was renewed could not be written.
        const isGone = !existsSync(paths.identity)
        yield* saveIdentity(this.#dataDir, identity)
        if (isGone) missing.push("identity.cbor")
      }
      yield* renewLock(this.#dataDir, now)
      this.#hadRootKey = existsSync(paths.rootKey)
      return missing
    })
  }

  /** The directory, on the file system on which it was. */
  get #ensurePlace(): Effect.Effect<void, DataDirError> {
    return Effect.suspend(() => {
      try {
        const here = deviceOf(this.#dataDir)
        const device = here ?? deviceOf(dirname(this.#dataDir))
        if (this.#device !== undefined && device !== this.#device)
          return Effect.fail(this.#unmounted)
        return here === undefined ? ensureDirectory(this.#dataDir) : Effect.void
      } catch (cause) {
        return Effect.fail(inaccessible(this.#dataDir, cause))
      }
    })
  }

  get #unmounted(): DataDirError {
    return new DataDirError({
      code: "inaccessible",
      path: this.#dataDir,
      message: `the data directory ${this.#dataDir} is not on the file system on which it was when this node started, and no key is written there: mount its volume again, or restart the node when it is meant to be so`
    })
  }
}
