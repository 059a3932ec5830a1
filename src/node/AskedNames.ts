/**
 * Which services were asked for by name, kept in the data directory: programs go on with an address for
 * longer than they were told, and after a restart of the node find it listening there.
 */
import { join } from "node:path"
import { Effect, Either, Schema } from "effect"
import { type DataDirError, readPrivateFile, writePrivateFile } from "../mesh/keys/KeyFile.ts"
import { ServiceName } from "../schema/NamesSchema.ts"
import { mostNames } from "./NameListeners.ts"

const File = Schema.parseJson(Schema.Array(ServiceName).pipe(Schema.maxItems(mostNames)))
const maxBytes = 128 * 1024
const pathIn = (dataDir: string): string => join(dataDir, "names.json")

export const loadAskedNames = (
  dataDir: string
): Effect.Effect<ReadonlyArray<ServiceName>, DataDirError> =>
  Effect.gen(function* () {
    const bytes = yield* readPrivateFile(pathIn(dataDir), maxBytes)
    if (bytes === undefined) return []
    const names = Schema.decodeEither(File)(Buffer.from(bytes).toString("utf8"))
    if (Either.isRight(names)) return names.right
    yield* Effect.logWarning(
      `${pathIn(dataDir)} is not readable and is ignored: services are listened for when their names are asked for`
    )
    return []
  })

export const saveAskedNames = (
  dataDir: string,
  names: ReadonlyArray<ServiceName>
): Effect.Effect<void, DataDirError> =>
  writePrivateFile(pathIn(dataDir), Buffer.from(`${JSON.stringify(names)}\n`))
