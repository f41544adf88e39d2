//! The bounds of a template's source, and the grammar beyond that of the engine's parser.
//!
//! The engine's fuel counts instructions and their results. It does not count the walk through a value that holds another. So no list,
//! map or tuple may hold one that the template has made before, and none is repeated: then the walk costs no more than the making.

use std::thread;

use minijinja::machinery::ast::{self, BinOpKind, Call, CallArg, CallType, Expr, Stmt};
use minijinja::machinery::{Span, Token, parse, tokenize};
use minijinja::syntax::SyntaxConfig;

use crate::context::is_variable;
use crate::error::TemplateError;

/// The largest template source, in bytes: as much as a record keeps of one.
pub const MAX_TEMPLATE: usize = 64 * 1024;

/// The most tokens that one `{{ }}` or `{% %}` may hold: a list of 150 items, or 300 signs in a chain, which need about
/// 1 MiB of stack in a debug build and a quarter of that in a release.
pub const MAX_TOKENS: usize = 300;

/// The most `elif` branches in a template, which nest in the engine's eyes.
pub const MAX_BRANCHES: usize = 100;

/// The stack of the thread that works on users' texts, in bytes: four times the need of the worst text found within the
/// bounds, in a debug build. It is address space; only used pages become memory.
const STACK: usize = 16 * 1024 * 1024;

/// Refuses a source that is too large, that could exhaust stack or time while it is compiled, or that holds a construct
/// which is not offered.
pub(crate) fn check_source(shown: &str, source: &str, syntax: SyntaxConfig) -> Result<(), TemplateError> {
    let too_large = |what, limit| {
        Err(TemplateError::TooLarge {
            template: shown.to_owned(),
            what,
            limit,
        })
    };
    if source.len() > MAX_TEMPLATE {
        return too_large("the template", format!("{MAX_TEMPLATE} bytes"));
    }
    let (mut tokens, mut branches) = (0, 0);
    // What the lexer cannot read ends the count: the compiler then stops at the same place and says why.
    for (token, span) in tokenize(source, false, syntax.clone()).map_while(Result::ok) {
        match token {
            Token::TemplateData(_) | Token::VariableStart | Token::BlockStart => tokens = 0,
            Token::Ident("elif") => branches += 1,
            _ => tokens += 1,
        }
        if tokens > MAX_TOKENS {
            return too_large(
                "the tag",
                format!("{MAX_TOKENS} tokens (it ends on or after line {})", span.end_line),
            );
        }
        if branches > MAX_BRANCHES {
            return too_large("the number of elif", MAX_BRANCHES.to_string());
        }
    }
    check(source, syntax).map_err(|refused| TemplateError::NotOffered {
        template: shown.to_owned(),
        line: refused.line,
        why: refused.why,
    })
}

/// Does the work in a thread of its own with a known stack, and waits for it.
pub(crate) fn with_room<T: Send>(work: impl FnOnce() -> Result<T, TemplateError> + Send) -> Result<T, TemplateError> {
    thread::scope(|scope| {
        let room = thread::Builder::new()
            .name("windlass-templates".to_owned())
            .stack_size(STACK);
        let worker = room.spawn_scoped(scope, work).map_err(TemplateError::NoThread)?;
        worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Elements that a list, map or tuple may not hold.
const FLAT: &str = "a list, map or tuple may hold constants and the agent's variables only";
/// Which operands `*` takes.
const REPEATED: &str =
    "`*` takes a constant text and a number, or two numbers: write `x | int` where a number is meant";
/// Which operands `+` takes: two lists have a sum, as long as both.
const ADDED: &str = "`+` needs a constant or one of the agent's variables on one side: join texts with `~`";
/// A variable of the agent can't be set.
const SHADOWED: &str = "this is one of the agent's variables: give another name to what the template sets itself";
/// Macros are not offered, so there is nothing to import.
const IMPORTED: &str = "nothing can be imported: use `include`";
/// The step of a slice.
const STEPPED: &str = "a slice has no step here";

/// Filters that give a text, a number or a switch for every input.
const SCALAR_FILTERS: [&str; 21] = [
    "lower",
    "upper",
    "title",
    "capitalize",
    "replace",
    "length",
    "count",
    "trim",
    "join",
    "round",
    "abs",
    "int",
    "float",
    "string",
    "bool",
    "indent",
    "quoted",
    "safe",
    "escape",
    "e",
    "format",
];

/// The functions that are not offered: `debug` prints every variable, the others keep values within values.
pub(crate) const NO_FUNCTIONS: [&str; 3] = ["debug", "dict", "namespace"];

/// The filters of the engine that are not offered. The other ones that are not scalar (`split`, `lines`, `list`, `sort`,
/// `unique`, `reverse`, `first`, `last`, `min`, `max`, `default`) put no list into another; these can, or walk through one by
/// the name of an attribute, which no value here has.
pub(crate) const NO_FILTERS: [&str; 16] = [
    "attr",
    "batch",
    "chain",
    "dictsort",
    "groupby",
    "items",
    "map",
    "pprint",
    "reject",
    "rejectattr",
    "select",
    "selectattr",
    "slice",
    "sum",
    "tojson",
    "zip",
];

/// A refused construct, and its line.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) line: usize,
    pub(crate) why: &'static str,
}

type GrammarResult = Result<(), Refused>;

/// Refuses constructs that a template may not hold. A source that is not well-formed passes: the engine reports its error.
pub(crate) fn check(source: &str, syntax: SyntaxConfig) -> GrammarResult {
    parse(source, "", syntax).map_or(Ok(()), |template| statement(&template))
}

fn refuse(span: Span, why: &'static str) -> GrammarResult {
    Err(Refused {
        line: usize::from(span.start_line),
        why,
    })
}

fn statements(all: &[Stmt<'_>]) -> GrammarResult {
    all.iter().try_for_each(statement)
}

fn statement(stmt: &Stmt<'_>) -> GrammarResult {
    match stmt {
        Stmt::Template(node) => statements(&node.children),
        Stmt::EmitExpr(node) => expression(&node.expr),
        Stmt::EmitRaw(_) => Ok(()),
        Stmt::ForLoop(node) => {
            target(&node.target)?;
            expression(&node.iter)?;
            node.filter_expr.iter().try_for_each(expression)?;
            statements(&node.body)?;
            statements(&node.else_body)
        }
        Stmt::IfCond(node) => {
            expression(&node.expr)?;
            statements(&node.true_body)?;
            statements(&node.false_body)
        }
        Stmt::WithBlock(node) => {
            for (name, value) in &node.assignments {
                target(name)?;
                expression(value)?;
            }
            statements(&node.body)
        }
        Stmt::Set(node) => {
            target(&node.target)?;
            expression(&node.expr)
        }
        Stmt::SetBlock(node) => {
            target(&node.target)?;
            node.filter.iter().try_for_each(expression)?;
            statements(&node.body)
        }
        Stmt::AutoEscape(node) => {
            expression(&node.enabled)?;
            statements(&node.body)
        }
        Stmt::FilterBlock(node) => {
            expression(&node.filter)?;
            statements(&node.body)
        }
        Stmt::Block(node) => statements(&node.body),
        Stmt::Extends(node) => expression(&node.name),
        Stmt::Include(node) => expression(&node.name),
        Stmt::Import(node) => refuse(node.span(), IMPORTED),
        Stmt::FromImport(node) => refuse(node.span(), IMPORTED),
        Stmt::Do(node) => call(&node.call),
    }
}

/// The name that a template sets: no variable of the agent.
fn target(expr: &Expr<'_>) -> GrammarResult {
    match expr {
        Expr::Var(var) if is_variable(var.id) => refuse(var.span(), SHADOWED),
        Expr::List(list) => list.items.iter().try_for_each(target),
        Expr::Tuple(tuple) => tuple.items.iter().try_for_each(target),
        _ => Ok(()),
    }
}

fn expression(expr: &Expr<'_>) -> GrammarResult {
    match expr {
        Expr::Var(_) | Expr::Const(_) => Ok(()),
        Expr::Slice(node) => {
            expression(&node.expr)?;
            node.start.iter().chain(&node.stop).try_for_each(expression)?;
            node.step.as_ref().map_or(Ok(()), |step| refuse(step.span(), STEPPED))
        }
        Expr::UnaryOp(node) => expression(&node.expr),
        Expr::BinOp(node) => {
            operands(node, expr.span())?;
            expression(&node.left)?;
            expression(&node.right)
        }
        Expr::Compare(node) => {
            expression(&node.expr)?;
            node.ops.iter().try_for_each(|op| expression(&op.expr))
        }
        Expr::IfExpr(node) => {
            expression(&node.test_expr)?;
            expression(&node.true_expr)?;
            node.false_expr.iter().try_for_each(expression)
        }
        Expr::Filter(node) => {
            node.expr.iter().try_for_each(expression)?;
            arguments(&node.args)
        }
        Expr::Test(node) => {
            expression(&node.expr)?;
            arguments(&node.args)
        }
        Expr::GetAttr(node) => expression(&node.expr),
        Expr::GetItem(node) => {
            expression(&node.expr)?;
            expression(&node.subscript_expr)
        }
        Expr::Call(node) => call(node),
        Expr::List(node) => items(&node.items),
        Expr::Tuple(node) => items(&node.items),
        Expr::Map(node) => {
            items(&node.keys)?;
            items(&node.values)
        }
    }
}

/// The elements of a list: scalars, and literal lists of them.
fn items(all: &[Expr<'_>]) -> GrammarResult {
    for item in all {
        expression(item)?;
        let is_written = matches!(item, Expr::Const(_) | Expr::List(_) | Expr::Tuple(_) | Expr::Map(_));
        if !is_written && !is_scalar(item) {
            return refuse(item.span(), FLAT);
        }
    }
    Ok(())
}

fn operands(node: &ast::BinOp<'_>, span: Span) -> GrammarResult {
    let (left, right) = (is_scalar(&node.left), is_scalar(&node.right));
    match node.op {
        BinOpKind::Mul if !left || !right => refuse(span, REPEATED),
        // One scalar is enough: a scalar and a list have no sum.
        BinOpKind::Add if !left && !right => refuse(span, ADDED),
        _ => Ok(()),
    }
}

fn call(node: &Call<'_>) -> GrammarResult {
    match node.identify_call() {
        CallType::Function(_) | CallType::Block(_) => {}
        CallType::Method(on, _) | CallType::Object(on) => expression(on)?,
    }
    arguments(&node.args)
}

fn arguments(all: &[CallArg<'_>]) -> GrammarResult {
    all.iter().try_for_each(|argument| expression(value_of(argument)))
}

const fn value_of<'a, 'b>(argument: &'a CallArg<'b>) -> &'a Expr<'b> {
    match argument {
        CallArg::Pos(value) | CallArg::Kwarg(_, value) | CallArg::PosSplat(value) | CallArg::KwargSplat(value) => value,
    }
}

/// Whether the value is certainly a text, a number or a switch.
fn is_scalar(expr: &Expr<'_>) -> bool {
    match expr {
        // A constant may be a whole list: the parser folds them.
        Expr::Const(constant) => constant.value.as_object().is_none(),
        Expr::Var(var) => is_variable(var.id),
        Expr::UnaryOp(_) | Expr::Compare(_) | Expr::Test(_) => true,
        Expr::BinOp(node) => match node.op {
            BinOpKind::ScAnd | BinOpKind::ScOr => is_scalar(&node.left) && is_scalar(&node.right),
            _ => true,
        },
        Expr::IfExpr(node) => {
            let otherwise = node.false_expr.as_ref().is_none_or(is_scalar);
            is_scalar(&node.true_expr) && otherwise
        }
        Expr::Filter(node) if matches!(node.name, "default" | "d") => {
            let given = node.args.iter().map(value_of).all(is_scalar);
            node.expr.as_ref().is_some_and(is_scalar) && given
        }
        Expr::Filter(node) => SCALAR_FILTERS.contains(&node.name),
        Expr::GetAttr(node) => matches!(&node.expr, Expr::Var(var) if var.id == "loop") && is_number_of_loop(node.name),
        Expr::Slice(node) => is_scalar(&node.expr),
        Expr::GetItem(_) | Expr::Call(_) | Expr::List(_) | Expr::Tuple(_) | Expr::Map(_) => false,
    }
}

/// The properties of a loop, except for the previous and the next item.
fn is_number_of_loop(name: &str) -> bool {
    matches!(
        name,
        "index" | "index0" | "revindex" | "revindex0" | "first" | "last" | "length" | "depth" | "depth0"
    )
}
