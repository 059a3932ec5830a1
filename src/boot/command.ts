/** The command as a script: what `skein up` is run from. */
import { main } from "../cli/Main.ts"

main()
