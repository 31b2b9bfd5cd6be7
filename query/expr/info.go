package expr

import (
	"math/bits"
	"strings"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// sessionFuncs are answered by SessionInfo.Call, catalogFuncs by
// CatalogInfo.Call, both under the function's name.
var sessionFuncs = strings.Fields(`current_user session_user getpgusername current_database current_schema
 current_schemas current_query version pg_backend_pid pg_postmaster_start_time pg_conf_load_time pg_is_in_recovery
 pg_current_wal_lsn pg_current_wal_insert_lsn pg_current_wal_flush_lsn pg_last_wal_replay_lsn pg_last_wal_receive_lsn
 pg_last_xact_replay_timestamp txid_current txid_current_if_assigned txid_status pg_current_xact_id
 pg_current_xact_id_if_assigned pg_xact_status pg_cancel_backend pg_terminate_backend pg_sleep pg_notify
 pg_advisory_lock pg_advisory_lock_shared pg_try_advisory_lock pg_try_advisory_lock_shared
 pg_advisory_unlock pg_advisory_unlock_shared pg_advisory_unlock_all pg_advisory_xact_lock pg_advisory_xact_lock_shared
 pg_try_advisory_xact_lock pg_try_advisory_xact_lock_shared pg_blocking_pids pg_export_snapshot inet_client_port
 inet_server_port pg_create_logical_replication_slot pg_create_physical_replication_slot pg_drop_replication_slot
 pg_logical_emit_message pg_replication_slot_advance pg_wal_replay_pause pg_wal_replay_resume pg_reload_conf
 pg_is_wal_replay_paused pg_stat_reset pg_stat_clear_snapshot pg_walfile_name setseed pg_sleep_for pg_sleep_until pg_trigger_depth pg_my_temp_schema pg_is_other_temp_schema pg_switch_wal pg_jit_available
 pg_current_logfile pg_notification_queue_usage row_security_active age`)

var catalogFuncs = strings.Fields(`pg_get_expr pg_get_indexdef pg_get_constraintdef pg_get_viewdef pg_get_ruledef
 pg_get_triggerdef pg_get_functiondef pg_get_function_arguments pg_get_function_identity_arguments
 pg_get_function_result pg_get_function_arg_default pg_get_function_sqlbody pg_get_userbyid pg_get_serial_sequence pg_get_partkeydef
 pg_get_partition_constraintdef pg_get_statisticsobjdef pg_get_statisticsobjdef_columns
 pg_get_statisticsobjdef_expressions pg_get_replica_identity_index pg_table_is_visible pg_type_is_visible
 pg_function_is_visible pg_operator_is_visible pg_opclass_is_visible pg_opfamily_is_visible pg_conversion_is_visible
 pg_collation_is_visible pg_statistics_obj_is_visible pg_ts_parser_is_visible pg_ts_dict_is_visible
 pg_ts_config_is_visible pg_ts_template_is_visible obj_description col_description shobj_description
 has_table_privilege has_column_privilege has_any_column_privilege has_sequence_privilege has_database_privilege
 has_function_privilege has_language_privilege has_schema_privilege has_tablespace_privilege has_type_privilege
 has_parameter_privilege has_foreign_data_wrapper_privilege has_server_privilege pg_has_role pg_relation_size
 pg_total_relation_size pg_table_size pg_indexes_size pg_database_size pg_tablespace_size pg_relation_filenode
 pg_relation_filepath pg_filenode_relation pg_tablespace_location pg_relation_is_updatable pg_column_is_updatable pg_describe_object
 pg_relation_is_publishable pg_collation_actual_version pg_database_collation_actual_version
 pg_sequence_last_value pg_partition_root pg_sequence_parameters acldefault pg_size_bytes pg_index_column_has_property pg_index_has_property
 pg_indexam_has_property pg_encoding_max_length `)

func callSession(name string) evalFunc {
	return func(c *Ctx, a []datum) (datum, error) {
		if c.Session != nil {
			if d, ok, err := c.Session.Call(name, a); ok || err != nil {
				return d, err
			}
		}
		return null, unsupported("function %s is not supported here", name)
	}
}

func callCatalog(name string) evalFunc {
	return func(c *Ctx, a []datum) (datum, error) {
		if c.Catalog != nil {
			if d, ok, err := c.Catalog.Call(name, a); ok || err != nil {
				return d, err
			}
		}
		return null, unsupported("function %s is not supported here", name)
	}
}

func needSequences(c *Ctx) error {
	if c.Sequences == nil {
		return unsupported("sequences are not available here")
	}
	return nil
}

func intResult(v int64, err error) (datum, error) {
	if err != nil {
		return null, err
	}
	return types.Int(v), nil
}

// toReg is to_regclass and its siblings: NULL instead of an error.
func toReg(t *types.Type) evalFunc {
	return func(c *Ctx, a []datum) (datum, error) {
		d, err := t.Parse(c.Format, a[0].Str(), types.NoTypmod)
		if err == nil {
			return d, nil
		}
		switch sqlstate.CodeOf(err) {
		case sqlstate.UndefinedTable, sqlstate.UndefinedObject, sqlstate.UndefinedFunction, sqlstate.InvalidSchemaName,
			sqlstate.AmbiguousFunction:
			return null, nil
		}
		return null, err
	}
}

func currentSetting(c *Ctx, a []datum) (datum, error) {
	if c.Session != nil {
		if v, ok := c.Session.Setting(a[0].Str()); ok {
			return types.String(v), nil
		}
	}
	if len(a) > 1 && a[1].Bool() {
		return null, nil
	}
	return null, sqlstate.New(sqlstate.UndefinedObject, "unrecognized configuration parameter \"%s\"", a[0].Str())
}

func setConfig(c *Ctx, a []datum) (datum, error) {
	if a[0].IsNull() {
		return null, sqlstate.New(sqlstate.NullValueNotAllowed, "SET requires parameter name")
	}
	if c.Session == nil {
		return null, unsupported("settings are not available here")
	}
	value := ""
	if !a[1].IsNull() {
		value = a[1].Str()
	}
	if err := c.Session.SetSetting(a[0].Str(), value, !a[2].IsNull() && a[2].Bool()); err != nil {
		return null, err
	}
	v, _ := c.Session.Setting(a[0].Str())
	return types.String(v), nil
}

func formatType(_ *Ctx, a []datum) (datum, error) {
	if a[0].IsNull() {
		return null, nil
	}
	t, ok := types.ByOID(types.OID(a[0].Int()))
	switch {
	case a[0].Int() == 0:
		return types.String("-"), nil
	case !ok:
		return types.String("???"), nil
	}
	typmod := types.NoTypmod
	if !a[1].IsNull() {
		// With a modifier given but none set, bpchar is not character(1).
		if typmod = int32(a[1].Int()); typmod == types.NoTypmod && t == types.BPCharType {
			return types.String("bpchar"), nil
		}
	}
	return types.String(types.FormatType(t, typmod)), nil
}

// pgUTF8 is PostgreSQL's number of the encoding UTF8.
const pgUTF8 = 6

// sizePretty prints a number of bytes in the unit that keeps it short.
func sizePretty(size int64) string {
	const limit = 10 * 1024
	if size > -limit && size < limit {
		return itoa(size) + " bytes"
	}
	// Sizes are kept doubled so that the last step rounds half away from zero.
	size >>= 9
	for _, unit := range []string{"kB", "MB", "GB", "TB", "PB"} {
		if size > -(limit*2-1) && size < limit*2-1 || unit == "PB" {
			if size > 0 {
				size++
			} else {
				size--
			}
			return itoa(size/2) + " " + unit
		}
		size = types.FloorDiv(size, 1024)
	}
	return itoa(size)
}

// lsnPlus adds a numeric number of bytes to a position.
func lsnPlus(lsn uint64, d datum, sign int) (datum, error) {
	v := d.Decimal()
	if !isFinite(v) {
		verb := "add NaN to"
		if sign < 0 {
			verb = "subtract NaN from"
		}
		return null, unsupported("cannot %s pg_lsn", verb)
	}
	n, ok := types.DecimalToInt64(v)
	out := sqlstate.New(sqlstate.InvalidParameterValue, "pg_lsn out of range")
	if !ok {
		return null, out
	}
	abs := absInt(n)
	if (n < 0) == (sign < 0) {
		sum, carry := bits.Add64(lsn, abs, 0)
		if carry != 0 {
			return null, out
		}
		return types.LSN(sum), nil
	}
	if abs > lsn {
		return null, out
	}
	return types.LSN(lsn - abs), nil
}

func lsnDiff(_ *Ctx, a []datum) (datum, error) {
	x, y := a[0].LSN(), a[1].LSN()
	d := types.NewDecimalInt(0)
	d.Negative = x < y
	if x < y {
		x, y = y, x
	}
	d.Coeff.SetUint64(x - y)
	return types.Decimal(d), nil
}

var infoEvals = func() map[string]evalFunc {
	m := map[string]evalFunc{}
	for _, name := range sessionFuncs {
		m[name] = callSession(name)
	}
	delete(m, "age")
	m["age(xid)"] = callSession("age")
	for _, name := range catalogFuncs {
		m[name] = callCatalog(name)
	}
	for name, t := range map[string]*types.Type{"to_regclass": types.RegclassType, "to_regtype": types.RegtypeType, // order does not matter: it fills a map
		"to_regproc": types.RegprocType, "to_regprocedure": types.RegprocedureType, "to_regoper": types.RegoperType,
		"to_regoperator": types.RegoperatorType, "to_regnamespace": types.RegnamespaceType,
		"to_regrole": types.RegroleType, "to_regcollation": types.RegcollationType} {
		m[name] = toReg(t)
	}
	m["regclass(text)"] = func(c *Ctx, a []datum) (datum, error) {
		return types.RegclassType.Parse(c.Format, a[0].Str(), types.NoTypmod)
	}
	m["current_setting"], m["set_config"], m["format_type"] = currentSetting, setConfig, formatType
	m["nextval"] = func(c *Ctx, a []datum) (datum, error) {
		if err := needSequences(c); err != nil {
			return null, err
		}
		return intResult(c.Sequences.NextVal(types.OID(a[0].Int())))
	}
	m["currval"] = func(c *Ctx, a []datum) (datum, error) {
		if err := needSequences(c); err != nil {
			return null, err
		}
		return intResult(c.Sequences.CurrVal(types.OID(a[0].Int())))
	}
	m["lastval"] = func(c *Ctx, _ []datum) (datum, error) {
		if err := needSequences(c); err != nil {
			return null, err
		}
		return intResult(c.Sequences.LastVal())
	}
	m["setval"] = func(c *Ctx, a []datum) (datum, error) {
		if err := needSequences(c); err != nil {
			return null, err
		}
		return intResult(c.Sequences.SetVal(types.OID(a[0].Int()), a[1].Int(), len(a) < 3 || a[2].Bool()))
	}
	m["pg_logical_emit_message"] = emitMessage
	m["pg_encoding_to_char"] = func(_ *Ctx, a []datum) (datum, error) {
		if a[0].Int() == pgUTF8 {
			return types.String("UTF8"), nil
		}
		return types.String(""), nil
	}
	m["pg_char_to_encoding"] = func(_ *Ctx, a []datum) (datum, error) {
		if onlyUTF8(a[0].Str()) == nil {
			return types.Int(pgUTF8), nil
		}
		return types.Int(-1), nil
	}
	utf8Name := func(*Ctx, []datum) (datum, error) { return types.String("UTF8"), nil }
	m["getdatabaseencoding"], m["pg_client_encoding"] = utf8Name, utf8Name
	m["pg_size_pretty(int8)"] = func(_ *Ctx, a []datum) (datum, error) { return types.String(sizePretty(a[0].Int())), nil }
	m["pg_size_pretty(numeric)"] = func(_ *Ctx, a []datum) (datum, error) {
		v, ok := types.DecimalToInt64(types.TruncDecimal(a[0].Decimal(), 0))
		if !ok {
			return null, unsupported("sizes beyond bigint are not supported")
		}
		return types.String(sizePretty(v)), nil
	}
	m["pg_lsn_mi"], m["pg_wal_lsn_diff"] = lsnDiff, lsnDiff
	m["pg_lsn_pli"] = func(_ *Ctx, a []datum) (datum, error) { return lsnPlus(a[0].LSN(), a[1], 1) }
	m["pg_lsn_mii"] = func(_ *Ctx, a []datum) (datum, error) { return lsnPlus(a[0].LSN(), a[1], -1) }
	m["numeric_pl_pg_lsn"] = func(_ *Ctx, a []datum) (datum, error) { return lsnPlus(a[1].LSN(), a[0], 1) }
	m["pg_lsn(numeric)"] = func(_ *Ctx, a []datum) (datum, error) { return lsnPlus(0, a[0], 1) }
	m["pg_lsn_larger"], m["pg_lsn_smaller"] = pickGreater, pickLess
	m["xid(xid8)"] = func(_ *Ctx, a []datum) (datum, error) { return types.Int(int64(uint32(a[0].Int()))), nil }
	m["oidvectortypes"], m["parse_ident"] = oidVectorTypes, parseIdent
	return m
}()

// emitMessage is pg_logical_emit_message(), with content of either type.
func emitMessage(c *Ctx, a []datum) (datum, error) {
	if c.Messages == nil {
		return null, unsupported("pg_logical_emit_message is not supported here")
	}
	var content []byte
	if a[2].Kind() == types.KindString {
		content = []byte(a[2].Str())
	} else {
		content = a[2].Bytes()
	}
	at, err := c.Messages.Emit(a[0].Bool(), a[1].Str(), content)
	return types.LSN(at), err
}

var infoBinds = map[string]func(*binding) evalFunc{
	"pg_typeof": func(b *binding) evalFunc {
		return func(*Ctx, []datum) (datum, error) { return types.Int(int64(b.args[0].OID)), nil }
	},
	"pg_column_size": func(*binding) evalFunc {
		return func(_ *Ctx, a []datum) (datum, error) {
			return types.Int(int64(len(types.AppendDatum(nil, a[0])))), nil
		}
	},
	"pg_collation_for": func(b *binding) evalFunc {
		return func(*Ctx, []datum) (datum, error) {
			if b.args[0].Category != types.CategoryString {
				return null, sqlstate.New(sqlstate.DatatypeMismatch, "collations are not supported by type %s", b.args[0].SQLName)
			}
			return types.String(`"default"`), nil
		}
	},
}
