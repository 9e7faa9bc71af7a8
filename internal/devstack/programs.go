//go:build unix

package devstack

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// MissingError means that programs of the servers are not installed.
type MissingError struct {
	Programs []string // the names that were looked for
	Searched []string // the folders they were looked for in
}

// Error names the programs and says how to install them.
func (e *MissingError) Error() string {
	return strings.Join(e.Programs, ", ") + " not found in " + strings.Join(e.Searched, ":") +
		"; to install: apt-get install redis-server postgresql"
}

// programs are the full paths that findPrograms found.
type programs struct {
	postgres postgresPrograms
	redis    string
}

type postgresPrograms struct{ initdb, server string }

// findPrograms looks for what o needs. The programs of PostgreSQL must lie in
// one folder: of two versions on a machine, one would refuse the other's data.
func findPrograms(o Options) (programs, error) {
	dirs := o.BinDirs
	if dirs == nil {
		dirs = defaultBinDirs()
	}
	var (
		out     programs
		missing []string
	)
	if !o.NoPostgres {
		if dir, ok := dirWith(dirs, "initdb", postgresName); ok {
			out.postgres = postgresPrograms{initdb: filepath.Join(dir, "initdb"), server: filepath.Join(dir, postgresName)}
		} else {
			missing = append(missing, "initdb", postgresName)
		}
	}
	if !o.NoRedis {
		if dir, ok := dirWith(dirs, "redis-server"); ok {
			out.redis = filepath.Join(dir, "redis-server")
		} else {
			missing = append(missing, "redis-server")
		}
	}
	if missing != nil {
		return programs{}, &MissingError{Programs: missing, Searched: dirs}
	}
	return out, nil
}

func defaultBinDirs() []string {
	dirs := filepath.SplitList(os.Getenv("PATH"))
	versions, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil {
		versions = nil
	}
	slices.SortFunc(versions, func(a, b string) int { return versionOf(b) - versionOf(a) })
	return append(append(dirs, versions...), "/usr/local/bin")
}

// versionOf reads 16 out of /usr/lib/postgresql/16/bin, and 0 out of anything
// that is no number.
func versionOf(bin string) int {
	n, err := strconv.Atoi(filepath.Base(filepath.Dir(bin)))
	if err != nil {
		return 0
	}
	return n
}

// dirWith returns the first of dirs that holds all the named programs.
func dirWith(dirs []string, names ...string) (string, bool) {
	for _, dir := range dirs {
		lacks := func(name string) bool { return !executable(filepath.Join(dir, name)) }
		if filepath.IsAbs(dir) && !slices.ContainsFunc(names, lacks) {
			return dir, true
		}
	}
	return "", false
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}
