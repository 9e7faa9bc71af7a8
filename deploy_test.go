//go:build unix

package usher_test

import (
	"bufio"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/config"
	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/testenv"
)

const (
	password       = "hunter2"                       // of the role that owns the tables
	appPassword    = "hunter3"                       // of the other one
	appRole        = "usher_app"                     // its name
	withoutAccount = "# --- Without a cloud account" // the part of .env.example that sets some names again
)

// passwords are what docker-compose.yml needs from .env.
var passwords = []string{"POSTGRES_PASSWORD=" + password, "POSTGRES_APP_PASSWORD=" + appPassword}

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

func TestComposeKeepsItsPromises(t *testing.T) {
	t.Parallel()

	project := loadCompose(t, "docker-compose.yml")
	for name, service := range project.Services {
		if name == "app-role" || name == "migrate" { // runs once
			if service.Restart != types.RestartPolicyNo {
				t.Errorf("%s restarts: %q", name, service.Restart)
			}
			continue
		}
		if service.HealthCheck == nil || len(service.HealthCheck.Test) < 2 {
			t.Errorf("%s has no health check", name)
		}
		if service.Restart != types.RestartPolicyUnlessStopped {
			t.Errorf("%s restarts %q, want %q", name, service.Restart, types.RestartPolicyUnlessStopped)
		}
		for _, port := range service.Ports {
			if name != "serve" || port.HostIP != "127.0.0.1" {
				t.Errorf("%s is published to the network: %v", name, port)
			}
		}
	}
	for name, user := range map[string]string{"app-role": "postgres", "migrate": "", "worker": "", "serve": "", "sandbox": ""} {
		service := project.Services[name]
		if service.User != user || service.Privileged || !slices.Contains(service.CapDrop, "ALL") {
			t.Errorf("%s has more rights than its image gives it", name)
		}
	}
}

func TestComposeRedisForgetsNothing(t *testing.T) {
	t.Parallel()

	redis := strings.Join(loadCompose(t, "docker-compose.yml").Services["redis"].Command, " ")
	for _, want := range []string{"--appendonly yes", "--maxmemory-policy noeviction"} {
		if !strings.Contains(redis, want) {
			t.Errorf("redis runs %q, want %s", redis, want)
		}
	}
}

func TestComposeKeepsDataInNamedVolumes(t *testing.T) {
	t.Parallel()

	project := loadCompose(t, "docker-compose.yml")
	for name, target := range map[string]string{"postgres": "/var/lib/postgresql/data", "redis": "/data"} {
		i := slices.IndexFunc(project.Services[name].Volumes, func(v types.ServiceVolumeConfig) bool { return v.Target == target })
		if i < 0 {
			t.Errorf("nothing is mounted at %s of %s", target, name)
			continue
		}
		v := project.Services[name].Volumes[i]
		if _, declared := project.Volumes[v.Source]; v.Type != types.VolumeTypeVolume || !declared {
			t.Errorf("%s of %s is the %s %q, want a named volume", target, name, v.Type, v.Source)
		}
	}
}

// Schedules move files, so the worker needs a folder that it may write to.
func TestComposeGivesTheWorkerAnInbox(t *testing.T) {
	t.Parallel()

	for named, want := range map[string]types.ServiceVolumeConfig{
		"":             {Type: types.VolumeTypeVolume, Source: "inbox", Target: "/inbox"},
		"/srv/hr/drop": {Type: types.VolumeTypeBind, Source: "/srv/hr/drop", Target: "/inbox"},
	} {
		project, err := load(t, append([]string{"USHER_INBOX=" + named}, passwords...), "docker-compose.yml")
		if err != nil {
			t.Fatal(err)
		}
		worker := project.Services["worker"]
		if len(worker.Volumes) != 1 {
			t.Fatalf("the worker has mounts %v", worker.Volumes)
		}
		v := worker.Volumes[0]
		if got := (types.ServiceVolumeConfig{Type: v.Type, Source: v.Source, Target: v.Target, ReadOnly: v.ReadOnly}); !cmp.Equal(want, got) {
			t.Errorf("USHER_INBOX=%s mounts %+v, want %+v", named, got, want)
		}
		if inbox := worker.Environment["WORKER_INBOX"]; inbox == nil || *inbox != want.Target {
			t.Errorf("WORKER_INBOX is %v, want %s", inbox, want.Target)
		}
		if _, declared := project.Volumes["inbox"]; !declared {
			t.Error("the volume is not declared")
		}
	}
}

func TestComposeWorkerWaitsAndDrains(t *testing.T) {
	t.Parallel()

	worker := loadCompose(t, "docker-compose.yml").Services["worker"]
	got := map[string]string{}
	for name, dependency := range worker.DependsOn {
		got[name] = dependency.Condition
	}
	want := map[string]string{
		"migrate":  types.ServiceConditionCompletedSuccessfully,
		"postgres": types.ServiceConditionHealthy,
		"redis":    types.ServiceConditionHealthy,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("worker waits for (-want +got):\n%s", diff)
	}
	drain, err := time.ParseDuration(defaults()["WORKER_DRAIN"])
	if err != nil {
		t.Fatal(err)
	}
	if grace := worker.StopGracePeriod; grace == nil || time.Duration(*grace) < drain+10*time.Second {
		t.Errorf("worker is killed after %v, but may drain for %v and then has to close", grace, drain)
	}
}

// The container's settings are read the way the worker reads them.
func TestComposeConfiguresTheWorker(t *testing.T) {
	t.Parallel()

	project := loadCompose(t, "docker-compose.yml")
	for name, want := range map[string]struct {
		program config.Program
		login   string
	}{
		"worker":  {config.Worker, appRole + ":" + appPassword},
		"migrate": {config.Migrate, "usher:" + password},
	} {
		keys := map[string]string{"ALIBABA_CLOUD_ACCESS_KEY_ID": "id", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "secret"}
		cfg, err := config.Load(want.program, func(key string) string {
			if v, ok := project.Services[name].Environment[key]; ok && v != nil {
				return *v
			}
			return keys[key] // from .env
		}, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if want := "postgres://" + want.login + "@postgres:5432/usher?sslmode=disable"; cfg.DatabaseURL.Reveal() != want {
			t.Errorf("%s uses %s, want %s", name, cfg.DatabaseURL.Reveal(), want)
		}
	}
}

// The password of the owner stands in the .env that the worker is given.
func TestComposeKeepsTheOwnerFromTheWorker(t *testing.T) {
	t.Parallel()

	for _, name := range []string{"worker", "sandbox"} {
		service := loadCompose(t, "docker-compose.yml").Services[name]
		for key, value := range service.Environment {
			if value != nil && strings.Contains(*value, password) {
				t.Errorf("%s of %s holds the password of the owner", key, name)
			}
		}
		if value, ok := service.Environment["POSTGRES_PASSWORD"]; len(service.EnvFiles) > 0 && (!ok || value == nil || *value != "") {
			t.Errorf("%s takes POSTGRES_PASSWORD from .env", name)
		}
	}
}

// The role is made with the statements of the file, twice: a volume may have it.
func TestComposeRoleCannotRewriteTheAudit(t *testing.T) {
	t.Parallel()

	project := loadCompose(t, "docker-compose.yml")
	owner := testenv.EmptyPostgres(t)
	for range 2 {
		if out, err := makeRole(t, project, owner).CombinedOutput(); err != nil || len(out) > 0 {
			t.Fatalf("app-role: %v, and it says %q", err, out)
		}
	}
	if err := store.Migrate(t.Context(), owner); err != nil {
		t.Fatal(err)
	}
	want := types.ShellCommand{"worker", "migrate", "--app-role", appRole}
	if diff := cmp.Diff(want, project.Services["migrate"].Command); diff != "" {
		t.Errorf("migrate runs (-want +got):\n%s", diff)
	}
	if err := open(t, owner).GrantRole(t.Context(), appRole); err != nil {
		t.Fatal(err)
	}
	login := parse(t, owner)
	login.User = url.User(appRole)
	if why, err := open(t, login.String()).MayRewriteAudit(t.Context()); err != nil || why != "" {
		t.Errorf("the role of the worker %q, %v; want neither", why, err)
	}
}

// makeRole is the command of app-role, on the server of owner.
func makeRole(t *testing.T, project *types.Project, owner string) *exec.Cmd {
	t.Helper()
	service := project.Services["app-role"]
	argv := slices.Clone(service.Command)
	script := slices.Index(argv, service.Configs[0].Target)
	if argv[0] != "psql" || script < 0 {
		t.Fatalf("app-role runs %q, want psql with %s", argv, service.Configs[0].Target)
	}
	argv[script] = filepath.Join(t.TempDir(), "app-role.sql")
	if err := os.WriteFile(argv[script], []byte(project.Configs[service.Configs[0].Source].Content), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...) //nolint:gosec // of our own file
	at := parse(t, owner)
	cmd.Env = append(os.Environ(), "APP_PASSWORD="+*service.Environment["APP_PASSWORD"], "PGUSER="+at.User.Username(),
		"PGHOST="+at.Query().Get("host"), "PGPORT="+at.Query().Get("port"), "PGDATABASE="+strings.TrimPrefix(at.Path, "/"))
	return cmd
}

func open(t *testing.T, database string) *store.Store {
	t.Helper()
	db, err := store.Open(t.Context(), database, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

func parse(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestComposeWantsPasswords(t *testing.T) {
	t.Parallel()

	for i, missing := range passwords {
		_, err := load(t, slices.Delete(slices.Clone(passwords), i, i+1), "docker-compose.yml")
		name, _, _ := strings.Cut(missing, "=")
		if err == nil || !strings.Contains(err.Error(), name+" is missing") || !strings.Contains(err.Error(), "set it in .env") {
			t.Errorf("without %s: %v, want to be told where to set it", name, err)
		}
	}
}

func TestComposeSandboxWorld(t *testing.T) {
	t.Parallel()

	project := loadCompose(t, "docker-compose.yml")
	world, err := quickbitest.ReadWorld(strings.NewReader(project.Configs["sandbox-world"].Content))
	if err != nil {
		t.Fatal(err)
	}
	if len(world.Users) == 0 || len(world.QAResources) == 0 {
		t.Error("the stand-in has nobody or nothing to give access to")
	}
	again := example(t, true)
	for name, want := range map[string]string{
		"ALIBABA_CLOUD_ACCESS_KEY_ID":     quickbitest.DefaultAccessKeyID,
		"ALIBABA_CLOUD_ACCESS_KEY_SECRET": quickbitest.DefaultAccessKeySecret,
		"COMPOSE_PROFILES":                "sandbox",
	} {
		if again[name] != want {
			t.Errorf(".env.example offers %s=%s, want %s", name, again[name], want)
		}
	}
	if host := strings.TrimPrefix(again["QUICKBI_ENDPOINT"], "http://"); !slices.Contains(project.Services["sandbox"].Command, host) {
		t.Errorf("the sandbox does not listen on %s: %v", host, project.Services["sandbox"].Command)
	}
}

// The stores of the demo may be reached from this machine, and from no other.
func TestDemoStoresAreOnLoopback(t *testing.T) {
	t.Parallel()

	project := loadCompose(t, "docker-compose.yml", "scripts/demo.compose.yml")
	for _, name := range []string{"postgres", "redis"} {
		ports := project.Services[name].Ports
		if len(ports) != 1 || ports[0].HostIP != "127.0.0.1" || ports[0].Published != "" {
			t.Errorf("%s is published as %v, want one free port on loopback", name, ports)
		}
	}
}

func TestImageIsNotRoot(t *testing.T) {
	t.Parallel()

	text, err := os.ReadFile("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	stages := strings.Split(string(text), "\nFROM ")
	last := stages[len(stages)-1]
	user := regexp.MustCompile(`(?m)^USER ([1-9][0-9]*:[1-9][0-9]*)$`).FindStringSubmatch(last)
	if user == nil {
		t.Fatalf("the image runs as root:\n%s", last)
	}
	if inbox := "--chown=" + user[1] + " /inbox /inbox"; !strings.Contains(last, inbox) {
		t.Errorf("an empty volume at /inbox belongs to root: no %q in\n%s", inbox, last)
	}
}

func TestEnvExampleIsComplete(t *testing.T) {
	t.Parallel()

	got := example(t, false)
	for _, set := range append(slices.Clone(passwords), "USHER_INBOX=") { // of docker-compose.yml alone
		name, _, _ := strings.Cut(set, "=")
		if _, ok := got[name]; !ok {
			t.Errorf("%s is not in .env.example", name)
		}
		delete(got, name)
	}
	for _, needed := range []string{"DATABASE_URL", "REDIS_URL"} {
		if got[needed] == "" {
			t.Errorf("%s has no example", needed)
		}
		got[needed] = ""
	}
	if diff := cmp.Diff(defaults(), got); diff != "" {
		t.Errorf(".env.example against the settings and their defaults (-want +got):\n%s", diff)
	}
}

func defaults() map[string]string {
	out := map[string]string{}
	for _, s := range config.Settings() {
		out[s.Name] = s.Default
	}
	return out
}

// example reads .env.example: the settings, or what it sets again for the
// stand-in.
func example(t *testing.T, again bool) map[string]string {
	t.Helper()
	text, err := os.ReadFile(".env.example")
	if err != nil {
		t.Fatal(err)
	}
	settings, standIn, found := strings.Cut(string(text), withoutAccount)
	if !found {
		t.Fatalf("no %q in .env.example", withoutAccount)
	}
	if again {
		settings = standIn
	}
	assignment := regexp.MustCompile(`^#?([A-Z_]+)=(.*)$`)
	out := map[string]string{}
	for lines := bufio.NewScanner(strings.NewReader(settings)); lines.Scan(); {
		if m := assignment.FindStringSubmatch(lines.Text()); m != nil {
			out[m[1]] = m[2]
		}
	}
	return out
}

func loadCompose(t *testing.T, files ...string) *types.Project {
	t.Helper()
	project, err := load(t, passwords, files...)
	if err != nil {
		t.Fatal(err)
	}
	return project
}

// load reads compose files as docker compose does, with every profile on.
func load(t *testing.T, env []string, files ...string) (*types.Project, error) {
	t.Helper()
	options, err := cli.NewProjectOptions(files, cli.WithEnv(env), cli.WithDefaultProfiles("*"), cli.WithoutEnvironmentResolution)
	if err != nil {
		t.Fatal(err)
	}
	return options.LoadProject(t.Context())
}
